"""The longest files start first; a slow one is not imported where none of its tests runs."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import LONGEST, pytest_collection_modifyitems, pytest_ignore_collect


def test_the_longest_files_are_there_and_named_once():
    folder = Path(__file__).parent

    assert [name for name in LONGEST if not (folder / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_the_longest_come_first_and_the_rest_stays_in_order():
    first, second = (f"tests/{name}" for name in LONGEST[:2])
    names = [f"{name}::test_{letter}" for name in ("model/a.py", second, first) for letter in "ba"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    pytest_collection_modifyitems(items)

    assert [item.nodeid for item in items] == [*names[4:], *names[2:4], *names[:2]]


@pytest.mark.parametrize(
    ("marks", "source", "is_ignored"),
    [
        ("not slow", "import pytest\n\npytestmark = pytest.mark.slow  # seconds\n", True),
        ("not image", "import pytest\n\npytestmark = pytest.mark.slow  # seconds\n", None),
        ("", "import pytest\n\npytestmark = pytest.mark.slow\n", None),
        ("not slow", "import pytest\n\n@pytest.mark.slow\ndef test_a(): pass\n", None),
    ],
)
def test_a_slow_file_is_not_imported_where_none_of_its_tests_runs(
    tmp_path, marks, source, is_ignored
):
    (tmp_path / "test_a.py").write_text(source)
    config = SimpleNamespace(option=SimpleNamespace(markexpr=marks))

    assert pytest_ignore_collect(tmp_path / "test_a.py", config) is is_ignored
    assert pytest_ignore_collect(tmp_path, config) is None
