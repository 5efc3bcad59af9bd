"""A server is driven with numbers and names that can be recognised; then they are looked for.

Through answers, refusals, prompts that are kept, read and deleted, and versions that come and are
refused: no log, metric or page has a value of a prompt, a tenant, a group or a column.
"""

import contextlib
import re
import shutil
import signal
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest

import sonoba
from model.store import Store
from service.tokens import bearer
from sonoba.v1 import predictor_pb2, predictor_pb2_grpc, replica_pb2_grpc
from sonoba.v1 import replica_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import COLUMNS, asking
from tests.service.test_batch import batch
from tests.service.test_stream import numbered
from tests.service.test_tenants_command import delete
from tests.service.watched import NAME, wait

pytestmark = pytest.mark.slow

TENANT, GROUP, COLUMN = "tenant-xyzzy", "group-plugh", "column-frotz"
FEATURE, LABEL, QUERY = 98765.4321, 56789.1234, 45678.9012
NUMBERS = re.compile(  # rounded or not, but no longer number that happens to begin so
    r"(?<![\d.])((98765|56789|45678)(?!\d)|9\.876543|5\.678912|4\.567890)"
)
NAMES = ("xyzzy", "plugh", "frotz", *COLUMNS)
TOKEN, OTHER = "the-token-of-the-admin-port", "the-token-of-another-port"
WITH = (("x-sonoba-tenant", TENANT),)


def marked(seed, M=16, d=3):
    """Return a prompt with a feature, a label and a query that can be recognised."""
    rng = np.random.default_rng(seed)
    x, y, queries = rng.normal(size=(M, d)), rng.normal(size=M), rng.normal(size=(1, d))
    x[0, 0], y[0], queries[0, 0] = FEATURE, LABEL, QUERY
    return x, y, queries


def requests():
    """Yield requests of every kind, most of them wrong in one way."""
    x, y, queries = marked(0)
    options = predictor_pb2.PredictOptions
    yield asking(x, y, queries, group_id=GROUP)
    yield asking(x, y, queries, model=NAME, columns=COLUMNS, group_id=GROUP)
    yield asking(x, y, queries, columns=[COLUMN, "b", "c"], group_id=GROUP)
    yield asking(x, y, queries, model=NAME, columns=[COLUMN, *COLUMNS[1:]])
    yield asking(x, y[:-1], queries, group_id=GROUP)
    yield asking(x[:2], y[:2], queries, group_id=GROUP)
    yield asking(np.where(x > 2.0, np.nan, x), y, queries, group_id=GROUP)
    yield asking(x, np.where(y > 2.0, np.inf, y), queries, columns=[COLUMN, "b", "c"])
    yield asking(x * 1e300, y, queries)
    yield asking(x, y, queries * 1e9, model=NAME, columns=COLUMNS)
    yield asking(x, y, queries, group_id=GROUP * 20)
    yield asking(x, y, queries, model="nobody")
    yield asking(x, y, queries, options=options(confidence_levels=[0.5], include_uncertainty=True))
    yield asking(x, y, queries, options=options(include_uncertainty=True, include_shift_score=True))
    yield asking(np.full_like(x, FEATURE), np.full_like(y, LABEL), queries)


def drive(stub):
    """Send all of them, alone, in a stream and in a batch; return how many were refused."""
    refused = 0
    for wanted in requests():
        try:
            stub.Predict(wanted, metadata=WITH, timeout=10)
        except grpc.RpcError:
            refused += 1
    for tenant in ("no tenant xyzzy", "xyzzy" * 20):
        with contextlib.suppress(grpc.RpcError):
            stub.Predict(next(requests()), metadata=(("x-sonoba-tenant", tenant),), timeout=10)
    list(stub.PredictStream(numbered(requests()), metadata=WITH, timeout=30))
    parts = [np.stack(part) for part in zip(*(marked(seed) for seed in range(1, 80)), strict=True)]
    parts[0][7, 1] = np.nan
    stub.PredictBatch(batch(*parts, group_ids=[GROUP] * 79), metadata=WITH, timeout=30)
    blocks = asked(3, B=120)[0]
    for place in range(120):
        stub.Predict(watched.request(blocks, place, group_id=GROUP), metadata=WITH, timeout=10)
    return refused


def administer(channel, token_file, wrong_file):
    """Read and delete prompts, rightly and wrongly; return how many were read."""
    stub = replica_pb2_grpc.ReplicaStub(channel)

    def ask(name, file, **fields):
        wanted = getattr(pb, f"{name}Request")(**fields)
        return getattr(stub, name)(wanted, metadata=bearer(file), timeout=10)

    stub_calls = [
        ("CollectPrompts", wrong_file, {"model": NAME, "reason": "a test"}),
        ("GetMonitorState", token_file, {"model": "nobody"}),
        ("DeletePrompts", token_file, {"tenant": TENANT, "reason": f"{TENANT} asked"}),
        ("DeletePrompts", token_file, {"tenant": f"{TENANT} !", "reason": "a test"}),
    ]
    for name, file, fields in stub_calls:
        with pytest.raises(grpc.RpcError):
            ask(name, file, **fields)
    assert ask("GetMonitorState", token_file, model=NAME).state
    found = ask("CollectPrompts", token_file, model="foundation", reason="a test").prompts
    assert FEATURE in np.frombuffer(found[0].features, "<f8")
    return len(found)


def page(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def token_files(tmp_path):
    found = []
    for name, token in (("right", TOKEN), ("wrong", OTHER)):
        path = tmp_path / name
        path.write_text(f"{token}\n")
        path.chmod(0o600)
        found.append(path)
    return found


def damage(folder, other):
    """Put a version in force whose file is damaged; return it."""
    version = Store(watched.save(other, found=watched.unwatched())).current(NAME).version
    place = Path(NAME, "versions", version)
    shutil.copytree(other / place, folder / place)
    weights = next(path for path in (folder / place).iterdir() if path.suffix != ".json")
    weights.chmod(0o600)
    weights.write_bytes(weights.read_bytes()[:-10])
    Store(folder).promote(NAME, version)
    return version


def change(folder, client, channel, token_file):
    """Put a version in force, and let the one before answer beside it."""
    first = Store(folder).current(NAME).version
    watched.save(folder, found=watched.provisional())
    wait(lambda: client.model().version != first)
    Store(folder).nominate(NAME, first)
    wait(lambda: told(channel, token_file).candidate_version == first)


def told(channel, token_file):
    asked_for = pb.GetMonitorStateRequest(model=NAME)
    stub = replica_pb2_grpc.ReplicaStub(channel)
    return stub.GetMonitorState(asked_for, metadata=bearer(token_file), timeout=10)


def expect_silence(text):
    for line in text.splitlines():
        for name in (*NAMES, TOKEN, OTHER):
            assert name not in line.lower()
        assert not NUMBERS.search(line), line


def test_nothing_that_callers_send_is_in_logs_metrics_or_pages(process, tmp_path, token_files):
    folder = watched.save(tmp_path / "store")
    one = process(
        SONOBA_STORE=str(folder),
        SONOBA_STORE_POLL_SECONDS="0.1",
        SONOBA_ADMIN_PORT="0",
        SONOBA_ADMIN_TOKEN_FILE=str(token_files[0]),
        SONOBA_RESERVOIR_TENANTS=TENANT,
        SONOBA_SHADOW_SHARE="1",
        SONOBA_MONITOR_BASELINE_PROMPTS="50",
    )
    admin = re.search(r"admin\s+(127\.0\.0\.1:\d+)", one.printed)[1]
    with (
        grpc.insecure_channel(f"127.0.0.1:{one.grpc_port}") as channel,
        grpc.insecure_channel(admin) as admin_channel,
        sonoba.Client(f"127.0.0.1:{one.grpc_port}", model=NAME) as client,
    ):
        stub = predictor_pb2_grpc.PredictorStub(channel)
        assert drive(stub) >= 8
        wait(lambda: told(admin_channel, token_files[0]).state)
        assert administer(admin_channel, *token_files) > 50
        change(folder, client, admin_channel, token_files[0])
        drive(stub)
        wait(lambda: told(admin_channel, token_files[0]).paired)
        refused = damage(folder, tmp_path / "other")
        wait(lambda: told(admin_channel, token_files[0]).refused_version == refused)
    result = delete(token_files[0], admin, tenant=TENANT)
    assert result.exit_code == 0, result.output
    pages = [page(one.metrics_port, path) for path in ("/metrics", "/status.json", "/")]
    one.child.send_signal(signal.SIGINT)
    out, err = one.child.communicate(timeout=30)

    for expected in ("is in force in place of", "is refused", '"event": "read"', '"delete"'):
        assert expected in err.replace('\\"', '"'), err  # lines are JSON, some carry more of it
    assert 'sonoba_rejections_total{reason="NOT_FINITE"}' in pages[0]
    for text in (one.printed, out, err, result.output, *pages):
        expect_silence(text)


@pytest.mark.parametrize(
    "line", ["9.87654321e+04", "x=98765.4", "mean 45679 45678", "Tenant-XYZZY"]
)
def test_what_is_looked_for_would_be_found(line):
    with pytest.raises(AssertionError):
        expect_silence(f"a line\n{line}\n")
