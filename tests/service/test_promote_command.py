"""`sonoba models promote`, `rollback` and `import`, on real stores and a real audit log."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from model.checkpoint import FOUNDATION_FILE, load_stored
from model.layer_draft import layer_draft
from model.manifest import Origin
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store
from service.audit import AuditLog
from service.caller import caller
from service.ledger import LedgerError
from service.models_command import models
from service.promote_command import promote_in_store
from tests.model.versions import ARRAYS, a_draft

COLUMNS = (Column("temp", "celsius"), Column("wind", "m/s"))


def paper(name="bikes", scale=1.0, columns=COLUMNS, **fields):
    model = PaperModel(scale * np.eye(2))
    created = datetime(2026, 1, 2, tzinfo=UTC)
    return layer_draft(name, model, Schema(columns, "pieces"), created, **fields)


@pytest.fixture
def store(tmp_path):
    """Return a store of one model: one version before, one in force and one just added."""
    made = Store(tmp_path / "store")
    for scale in (1.0, 2.0):
        made.save(*paper(scale=scale))
    made.add(*paper(scale=3.0))
    return made


def run(store, *arguments):
    command = [*arguments, "--store", str(store.folder)]
    return CliRunner().invoke(models, command, obj="tanaka")


def log(store):
    return list(AuditLog(store.folder / "audit.sqlite").entries())


def why(entry):
    return json.loads(entry.detail)["why"]


def test_a_version_is_promoted_and_the_log_says_by_whom_and_why(store):
    _, before, added = store.versions("bikes")
    result = run(store, "promote", "bikes", added, "--reason", "better in shadow")
    asked, done = log(store)

    assert result.exit_code == 0, result.output
    assert result.stdout == f"bikes: version {added} is in force; before it: {before}\n"
    assert store.current("bikes").version == added
    assert (asked.actor, asked.action, asked.model) == ("tanaka", "promotion.asked", "bikes")
    assert (done.actor, done.action) == ("tanaka", "promotion.done")
    assert why(done)["reason"] == "better in shadow"
    assert why(done)["etag"] == store.current("bikes").etag
    assert AuditLog(store.folder / "audit.sqlite").verify().fault == ""


def test_two_rollbacks_give_the_first_version_again(store):
    old, new, _ = store.versions("bikes")

    for expected in (old, new):
        result = run(store, "rollback", "bikes", "--reason", "worse than before")
        assert result.exit_code == 0, result.output
        assert store.current("bikes").version == expected
    assert [entry.action for entry in log(store)] == ["rollback.asked", "rollback.done"] * 2


def test_without_a_reason_nothing_is_done(store):
    for command in (["promote", "bikes", store.versions("bikes")[2]], ["rollback", "bikes"]):
        result = run(store, *command)

        assert result.exit_code == 2
        assert "Missing option '--reason'" in result.stderr
    assert store.current("bikes").version == store.versions("bikes")[1]


REFUSED = {
    "no such version": ("bikes", "0" * 12, "there is no version 000000000000; versions: "),
    "no such model": ("cars", "0" * 12, "cars: there is no version 000000000000; versions: none"),
    "no name of a version": ("bikes", "../../x", "there is no version ../../x"),
    "no name of a model": ("../bikes", "0" * 12, "expected a model's name, got '../bikes'"),
}


@pytest.mark.parametrize(("name", "version", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_there_is_refused_with_a_sentence(store, name, version, sentence):
    before = store.current("bikes")
    result = run(store, "promote", name, version, "--reason", "r")

    assert result.exit_code == 1
    assert sentence in result.stderr
    assert store.current("bikes") == before
    assert not (store.folder / "audit.sqlite").exists()


def test_a_version_that_does_not_load_is_promoted_by_force_only(store):
    added = store.versions("bikes")[2]
    weights = store.folder / "bikes" / "versions" / added / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused = run(store, "promote", "bikes", added, "--reason", "r")

    assert refused.exit_code == 1
    assert f"bikes/{added}: weights.npz: expected" in refused.stderr
    assert "it would not answer" in refused.stderr
    assert store.current("bikes").version != added

    forced = run(store, "promote", "bikes", added, "--reason", "r", "--force")
    assert forced.exit_code == 0
    assert store.current("bikes").version == added
    assert why(log(store)[-1])["force"] is True


OTHER_COLUMNS = {
    "another name": (Column("temp", "celsius"), Column("rain", "m/s")),
    "another unit": (Column("temp", "fahrenheit"), Column("wind", "m/s")),
    "another order": COLUMNS[::-1],
    "no names": (),
}


@pytest.mark.parametrize("columns", OTHER_COLUMNS.values(), ids=OTHER_COLUMNS)
def test_other_columns_are_never_promoted(store, columns):
    version = store.add(*paper(scale=4.0, columns=columns))
    for force in ([], ["--force"]):
        result = run(store, "promote", "bikes", version, "--reason", "r", *force)

        assert result.exit_code == 1
        assert "expected the 2 columns of the version in force, got 2" in result.stderr
    assert store.current("bikes").version != version


def test_a_rollback_to_what_does_not_load_is_refused(store):
    old, new, _ = store.versions("bikes")
    (store.folder / "bikes" / "versions" / old / "weights.npz").unlink()
    result = run(store, "rollback", "bikes", "--reason", "r")

    assert result.exit_code == 1
    assert f"bikes/{old}: weights.npz: no such file" in result.stderr
    assert store.current("bikes").version == new


def test_a_rollback_without_a_version_before_is_refused_and_on_record(tmp_path):
    store = Store(tmp_path)
    store.save(*paper())
    result = run(store, "rollback", "bikes", "--reason", "r")

    assert result.exit_code == 1
    assert "there is no version before the one in force" in result.stderr
    assert [entry.action for entry in log(store)] == ["rollback.asked", "rollback.refused"]


def test_a_damaged_pointer_is_mended_by_a_promotion(store):
    version = store.versions("bikes")[0]
    (store.folder / "bikes" / "current").write_text('{"version": ')
    result = run(store, "promote", "bikes", version, "--reason", "mend")

    assert result.exit_code == 0
    assert store.current("bikes").version == version


def test_nothing_is_promoted_that_cannot_be_put_on_record(store):
    before = store.current("bikes")
    (store.folder / "audit.sqlite").write_text("no database, but long enough to be read as one")

    with pytest.raises(LedgerError, match=r"audit\.sqlite"):
        promote_in_store(store, "bikes", store.versions("bikes")[0], "r", "tanaka")
    assert store.current("bikes") == before


PAPER = {
    "kind": "paper",
    "name": "bikes",
    "covariance": [[1.0, 0.3], [0.3, 2.0]],
    "noise_variance": 0.5,
    "columns": [{"name": "temp", "unit": "celsius"}, {"name": "wind", "unit": "m/s"}],
    "provenance": {"date": "2026-03-04"},
}


def file_of(tmp_path, entry):
    path = tmp_path / "bikes.json"
    path.write_text(json.dumps(entry))
    return path


def test_a_file_becomes_the_version_in_force(store, tmp_path):
    before = store.current("bikes").version
    result = run(store, "import", str(file_of(tmp_path, PAPER)))
    pointer = store.current("bikes")

    assert result.exit_code == 0, result.output
    assert pointer.previous == before
    assert f"bikes: version {pointer.version} is in force" in result.stdout
    artifact = load_stored(store.folder, "bikes")
    wanted = PaperModel(np.array(PAPER["covariance"]), 0.5)
    np.testing.assert_array_equal(artifact.model.weights(9), wanted.weights(9))
    assert artifact.created.isoformat() == "2026-03-04T00:00:00+00:00"
    assert artifact.schema.names == ("temp", "wind")
    assert [entry.action for entry in log(store)] == ["import.asked", "import.done"]
    assert why(log(store)[0])["file"] == "bikes.json"


def test_the_foundation_file_can_be_imported_into_a_new_store(tmp_path):
    store = Store(tmp_path / "new")
    result = run(store, "import", str(FOUNDATION_FILE))
    again = run(store, "import", str(FOUNDATION_FILE))

    assert result.exit_code == again.exit_code == 0
    assert len(store.versions("foundation")) == 1
    assert load_stored(store.folder, "foundation").model.feature_count == 0
    shown = run(store, "show", "foundation").stdout
    assert "kind foundation" in shown and "any number of features" in shown


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (PAPER | {"covariance": [[1.0]], "columns": []}, "got 1 (new: column 1; missing: 'temp'"),
        (PAPER | {"kind": "oracle"}, "bikes.json: "),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(store, tmp_path, entry, sentence):
    before, versions = store.current("bikes"), store.versions("bikes")
    result = run(store, "import", str(file_of(tmp_path, entry)))

    assert result.exit_code == 1
    assert sentence in result.stderr
    assert (store.current("bikes"), store.versions("bikes")) == (before, versions)


def test_the_list_tells_kind_role_and_where_a_version_comes_from(store):
    old, new, added = store.versions("bikes")
    store.add(*paper(scale=5.0, source="bikes.json"))
    origin = Origin(parent=new, evaluation="e-7", prompt_count=1200, row_count=48_000)
    fifth = store.add(*paper(scale=6.0, origin=origin))
    store.nominate("bikes", fifth)
    store.save(a_draft("shops"), ARRAYS)
    result = run(store, "list")
    cells = {line.split("bikes")[0].strip(): line for line in result.stdout.splitlines()
             if "bikes " in line}  # fmt: skip

    assert result.exit_code == 0
    assert new in cells["*"] and "paper" in cells["*"]
    assert old in cells["previous"]
    assert fifth in cells["candidate"] and "profile" in result.stdout
    shown = run(store, "show", "bikes", fifth).stdout
    assert f"from      version {new}, recalibrated on 1,200 prompts (48,000 rows)" in shown
    assert "predicts  a label (pieces) from 2 features" in shown
    assert "wind" in shown and "m/s" in shown
    assert added not in cells["*"]


def test_verify_notices_a_candidate_and_a_version_before_that_are_gone(store):
    _, new, _ = store.versions("bikes")
    pointer = {"version": new, "previous": "0" * 12, "candidate": "1" * 12, "serial": 9}
    (store.folder / "bikes" / "current").write_text(json.dumps(pointer))
    result = run(store, "verify")

    assert result.exit_code == 1
    assert f"bikes: the version before, {'0' * 12}, is not there" in result.stdout
    assert f"bikes: the candidate, {'1' * 12}, is not there" in result.stdout


def test_a_url_is_not_changed_from_here(tmp_path):
    result = CliRunner().invoke(models, ["list", "--store", "s3://bucket/store"])

    assert result.exit_code == 1
    assert "--store: expected a folder, got a URL" in result.stderr


@pytest.mark.slow
def test_the_command_line_puts_its_own_user_on_record(store):
    version = store.versions("bikes")[0]
    command = ["models", "promote", "bikes", version, "--store", str(store.folder)]
    program = [sys.executable, "-m", "service.cli"]
    done = subprocess.run([*program, *command, "--reason", "r"], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert {entry.actor for entry in log(store)} == {caller()}
