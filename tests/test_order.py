"""The longest files are started first."""

from pathlib import Path
from types import SimpleNamespace

from tests.conftest import LONGEST, pytest_collection_modifyitems


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
