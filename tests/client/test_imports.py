"""What importing the client brings along, and that it needs no more."""

import subprocess
import sys

import sonoba

PUBLIC = {
    *("Client", "aio", "Prompt", "Summary", "Prediction", "Warning", "Model", "Column"),
    *("Interval", "Explanation", "ShiftScore", "Tls"),
    *("SonobaError", "InvalidPrompt", "SchemaMismatch", "NotFound", "Overloaded"),
    *("DeadlineExceeded", "Unavailable", "PermissionDenied", "ServerError"),
}
WITHOUT_NUMPY = """
import asyncio, sys
from array import array

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "pandas"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import sonoba
x, y, target = [[1.0], [2.0], [3.0]], array("d", [2.0, 4.0, 6.0]), sys.argv[1]
with sonoba.Client(target) as client:
    one = client.predict(x, y, [4.0])
    many = client.predict_many([sonoba.Prompt(x, y, [float(i)]) for i in range(4)])
    summary = client.predict(queries=[[4.0]], summary=sonoba.Summary.from_rows(x, y))
    told = client.predict(x, y, [4.0], levels=0.9, explain=True, shift=True)
assert type(told.intervals[0].lower) is type(told.explanation.weights[0]) is list
assert told.shift.features == (("b", -2.5), ("a", 0.5))

async def ask():
    async with sonoba.aio.Client(target) as client:
        return await client.predict(x, y, [4.0])

answers = [one, *many, summary, asyncio.run(ask())]
assert all(type(answer.values) is list for answer in answers)
print([round(answer.values[0], 9) for answer in answers])
"""


def python(*arguments):
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_public_names_are_these():
    assert set(sonoba.__all__) == PUBLIC
    assert all(hasattr(sonoba, name) for name in PUBLIC)
    assert sonoba.__version__ == "0.1.0"


def test_importing_the_client_loads_nothing_heavy():
    heavy = "{'numpy', 'pandas', 'torch', 'google.rpc'}"

    done = python("-c", f"import sonoba, sys; print({heavy} & sys.modules.keys())")

    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_everything_works_where_numpy_cannot_be_imported(target):
    done = python("-c", WITHOUT_NUMPY, target)

    assert (done.stdout, done.stderr) == ("[8.0, 0.0, 2.0, 4.0, 6.0, 8.0, 8.0]\n", "")
