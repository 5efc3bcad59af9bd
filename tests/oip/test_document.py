"""The program of docs/open-inference.md prints what the document says."""

import re
import subprocess

from service.oip_absent import ABSENT
from service.oip_fields import NAMES
from service.oip_request import OUTPUTS, PARAMETERS
from service.oip_tensors import INPUTS
from tests.oip.conftest import PYTHON, ROOT
from tests.oip.public import methods

TEXT = (ROOT / "docs/open-inference.md").read_text(encoding="utf-8")
PROGRAM = re.search(r"```python predict_triton.py\n(.*?)```", TEXT, re.DOTALL)[1]
PRINTED = re.search(r"prints\n\n```text\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_program_prints_the_prediction_and_the_error(served, public):
    command = [PYTHON, "-c", PROGRAM, served.address]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (ran.stdout, ran.stderr) == (PRINTED, "")


def test_every_name_is_explained():
    names = {*INPUTS, *OUTPUTS, *PARAMETERS, *methods(), *NAMES.values()}
    last = {name.rpartition(".")[2] for name in names}

    assert {one for one in last if not re.search(rf"`[^`\n]*\b{one}\b", TEXT)} == set()


def test_what_is_not_offered_is_named():
    rest = [name for name in ABSENT if "SharedMemory" not in name]

    assert {"ModelConfig", "ModelStatistics"} <= set(rest)
    assert {name for name in rest if f"`{name}`" not in TEXT} == {"TraceSetting", "LogSettings"}
