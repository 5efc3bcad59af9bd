import json

from click.testing import CliRunner

from model.store import Store
from service.models_command import models


def run(store, *arguments):
    return CliRunner().invoke(models, [*arguments, "--store", str(store.folder)])


def test_the_list_tells_versions_and_which_is_in_force(store):
    result = run(store, "list")
    old, new = store.versions("bikes")
    stars = {
        v: line.split()[0] for v in (old, new) for line in result.stdout.splitlines() if v in line
    }

    assert result.exit_code == 0
    assert stars == {old: "previous", new: "*"}
    assert "200 rows" in result.stdout and "healthy" in result.stdout


def test_an_empty_store_says_how_to_fill_it(tmp_path):
    for command in ("list", "verify"):
        result = run(Store(tmp_path / "none"), command)

        assert result.exit_code == 0
        assert "`sonoba pretrain` makes one" in result.stdout


def test_a_version_is_shown_with_units_and_errors(store):
    result = run(store, "show", "bikes")

    assert result.exit_code == 0
    assert f"model     bikes, version {store.current('bikes').version}, healthy" in result.stdout
    assert "predicts  sold (pieces) from 1 features" in result.stdout
    assert "200 rows, 10 groups of week" in result.stdout
    assert "celsius" in result.stdout and "12.34" in result.stdout
    assert "0.500" in result.stdout and "It is good." in result.stdout


def test_an_older_version_and_the_bare_manifest_can_be_had(store):
    old, _ = store.versions("bikes")
    result = run(store, "show", "bikes", old, "--json")

    assert json.loads(result.stdout)["training"]["row_count"] == 100


def test_an_unknown_model_is_a_sentence(store):
    result = run(store, "show", "cars")

    assert result.exit_code == 1
    assert "cars: there is no such model in" in result.stderr and "models: bikes" in result.stderr


def test_verify_passes_what_is_intact(store):
    result = run(store, "verify")

    assert result.exit_code == 0
    assert result.stdout.count("intact    bikes ") == 2


def test_verify_names_what_is_broken_and_ends_with_1(store):
    old, new = store.versions("bikes")
    weights = store.folder / "bikes" / "versions" / old / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = run(store, "verify", "bikes")

    assert result.exit_code == 1
    assert f"broken    bikes/{old}: weights.npz: expected" in result.stdout
    assert f"intact    bikes {new}" in result.stdout
    assert "1 fault in" in result.stderr
    assert "1 cannot be used" in run(store, "list").stdout


def test_verify_notices_a_version_in_force_that_is_gone(store):
    (store.folder / "bikes" / "current").write_text('{"version": "000000000000"}')
    result = run(store, "verify")

    assert result.exit_code == 1
    assert "the version in force, 000000000000, is not there" in result.stdout


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "store").write_text("")
    result = run(Store(tmp_path / "store"), "list")

    assert result.exit_code == 1
    assert "--store: expected a folder, got the file" in result.stderr
