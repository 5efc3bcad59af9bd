import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # seconds, all together

PLANTED = {
    "in a test": 'import pytest\n\ndef test_a():\n    pytest.skip("no server")\n',
    "by a mark": 'import pytest\n\n@pytest.mark.skip(reason="no server")\ndef test_a(): pass\n',
    "in a fixture": (
        "import pytest\n\n@pytest.fixture\ndef server():\n    pytest.skip('no server')\n\n"
        "def test_a(server): pass\n"
    ),
    "of a module": 'import pytest\n\npytest.importorskip("no_such", reason="no server")\n',
}
XFAIL = 'import pytest\n\n@pytest.mark.xfail(reason="known")\ndef test_a():\n    assert False\n'


def run(folder: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_planted.py").write_text(f"{source}\ndef test_b(): pass\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -rs\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    environ = os.environ | {"CI": ci}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED.keys())
def test_a_skip_fails_in_ci_and_says_why(tmp_path, source):
    ran = run(tmp_path, source, ci="true")

    assert ran.returncode in (1, 2)  # failed, or interrupted while collecting
    assert "no server" in ran.stdout
    assert "a skip is a failure where CI is set" in ran.stdout


def test_a_skip_is_visible_and_harmless_elsewhere(tmp_path):
    ran = run(tmp_path, PLANTED["in a test"], ci="")

    assert ran.returncode == 0
    assert "no server" in ran.stdout


def test_an_expected_failure_is_not_a_skip(tmp_path):
    ran = run(tmp_path, XFAIL, ci="true")

    assert ran.returncode == 0
