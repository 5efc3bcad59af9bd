import pytest

from tests.calling.document import BLOCKS, run_python

PROGRAMS = {
    "predict_sdk.py": "answer-sdk",
    "predict_stubs.py": "answer",
    "predict_batch.py": "answer-batch",
    "predict_interval.py": "answer-interval",
    "predict_summary.py": "answer-summary",
}


def test_every_python_program_of_the_document_is_run():
    assert {name for name in BLOCKS if name.endswith(".py")} == set(PROGRAMS)


@pytest.mark.parametrize(("program", "answer"), PROGRAMS.items(), ids=PROGRAMS)
def test_a_python_program_prints_what_the_document_says(address, program, answer):
    assert run_python(program, address) == BLOCKS[answer].splitlines()
