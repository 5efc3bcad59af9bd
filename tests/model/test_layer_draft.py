"""Layers as stored versions: what comes back answers to the last bit, what is none is refused."""

import hashlib
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from model.answer import Mode
from model.checkpoint import FOUNDATION_FILE, ArtifactError, load, load_stored
from model.document import changed
from model.foundation import FoundationModel
from model.layer_draft import layer_draft
from model.layer_manifest import LayerManifest
from model.manifest import Origin
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store
from model.version_folder import StoreError
from tests.model.profiles import asked
from tests.model.test_paper_sums import SUMS
from tests.model.versions import ARRAYS, a_draft

CREATED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SCHEMA = Schema((Column("temp", "celsius", "of the air"), Column("wind"), Column("rain")), "pieces")
ORIGIN = Origin(parent="0123456789ab", evaluation="e-7", prompt_count=1200, row_count=48_000)
FOUNDATION = load(FOUNDATION_FILE).model
MODELS = {
    "a law": PaperModel(np.diag([1.0, 2.0, 3.0]) + 0.1, 0.5, 2.0),
    "a law, uncentred": PaperModel(np.eye(3), centred=False),
    "sums": PaperModel.from_sums(*SUMS, 0.3, 2.0),
    "sums, uncentred": PaperModel.from_sums(*SUMS, 0.3, 2.0, centred=False),
    "foundation": FOUNDATION,
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_comes_back_answers_to_the_last_bit(tmp_path, model):
    layer = layer_draft("bikes", model, SCHEMA, CREATED, origin=ORIGIN, source="bikes.json")
    version = Store(tmp_path).save(*layer)
    found = load_stored(tmp_path, "bikes")
    block, _ = asked(1, B=4)

    assert (found.name, found.version, found.created) == ("bikes", version, CREATED)
    assert found.schema == SCHEMA
    assert found.model.mode == model.mode
    assert found.model.feature_count == 3
    np.testing.assert_array_equal(
        found.model.answer(block).predictions, model.answer(block).predictions
    )
    manifest = Store(tmp_path).load("bikes").manifest
    assert isinstance(manifest, LayerManifest)
    assert manifest.origin == ORIGIN
    assert (manifest.kind, manifest.source) == (model.mode.name.lower(), "bikes.json")


def test_equal_models_are_one_version(tmp_path):
    first, again = (
        Store(tmp_path).save(*layer_draft("bikes", MODELS["sums"], SCHEMA, CREATED))
        for _ in range(2)
    )

    assert first == again
    assert Store(tmp_path).save(*layer_draft("bikes", MODELS["a law"], SCHEMA, CREATED)) != first


def test_a_foundation_without_columns_takes_any_number_of_features(tmp_path):
    Store(tmp_path).save(*layer_draft("any", FOUNDATION, Schema(), CREATED))
    found = load_stored(tmp_path, "any").model

    assert found == FOUNDATION
    assert found.feature_count == 0


def test_a_foundation_stands_in_for_a_profile_with_its_columns_and_ranges(tmp_path):
    store = Store(tmp_path)
    before = store.save(a_draft(), ARRAYS)
    profile = store.load("bikes").manifest
    origin = changed(ORIGIN, parent=before)
    schema = profile.schema_of_model()
    store.save(
        *layer_draft(
            "bikes",
            FoundationModel(FOUNDATION.steps, (0.3, 1.0)),
            schema,
            CREATED,
            origin=origin,
            feature_schema=profile.feature_schema,
        )
    )
    found = load_stored(tmp_path, "bikes")

    assert found.model.mode == Mode.FOUNDATION
    assert found.model.lambda_grid == (0.3, 1.0)
    assert found.schema == schema and found.schema.hash == profile.feature_schema.hash
    assert found.model.feature_count == 1
    assert store.load("bikes").manifest.feature_schema == profile.feature_schema
    assert store.current("bikes").previous == before


def test_the_reference_of_monitoring_travels_with_a_layer(tmp_path):
    reference = {"single": np.arange(5.0), "normal.mean": np.ones(3)}
    layer = layer_draft(
        *("bikes", MODELS["sums"], SCHEMA, CREATED), reference=reference, reference_id="89abcdef"
    )
    Store(tmp_path).save(*layer)
    found = load_stored(tmp_path, "bikes")

    assert {name: leaf.tolist() for name, leaf in found.reference.items()} == {
        name: leaf.tolist() for name, leaf in reference.items()
    }
    assert Store(tmp_path).load("bikes").manifest.reference.monitoring == "89abcdef"


def test_a_profile_may_tell_its_origin_and_need_not(tmp_path):
    store = Store(tmp_path)
    plain = store.save(a_draft(), ARRAYS)
    made = store.save(changed(a_draft(), origin=ORIGIN), ARRAYS)

    assert store.load("bikes", plain).manifest.origin is None
    assert "origin" not in (tmp_path / "bikes/versions" / plain / "manifest.json").read_text()
    assert store.load("bikes", made).manifest.origin == ORIGIN


DRAFTS = {
    "columns of another number": ({"feature_count": 2}, "feature_count: expected 3, got 2"),
    "a paper model of any features": (
        {"feature_count": 0, "columns": ()},
        "feature_count: expected that of the weights, got 0",
    ),
    "a path as source": ({"source": "/data/bikes.json"}, "source: expected a file's name"),
    "a name that leaves the store": ({"name": "../bikes"}, "name"),
    "a kind that nobody knows": ({"kind": "oracle"}, "kind"),
    "another's ranges": (
        {"feature_schema": a_draft().feature_schema},
        "feature_schema: expected the columns",
    ),
    "a parent that is no version": (
        {"origin": changed(ORIGIN, parent="x")},
        "origin.parent",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), DRAFTS.values(), ids=DRAFTS)
def test_a_draft_that_does_not_hold_together_is_refused(tmp_path, change, sentence):
    draft, arrays = layer_draft("bikes", MODELS["sums"], SCHEMA, CREATED)

    with pytest.raises((ValueError, StoreError), match=sentence):
        Store(tmp_path).save(changed(draft, **change), arrays)
    assert not list(tmp_path.rglob("manifest.json"))


LAW, SUM, FOUND = "paper.law.", "paper.sums.", "foundation."
FORGED = {
    "no weights": ("a law", {f"{LAW}covariance": None}, "expected an array 'law.covariance'"),
    "neither law nor sums": (
        "a law",
        {f"{LAW}{one}": None for one in ("covariance", "noise_variance", "task_variance")},
        "expected a law or sums, got neither",
    ),
    "a law that is none": ("a law", {f"{LAW}covariance": -np.eye(3)}, "no negative eigenvalue"),
    "of other features": ("a law", {f"{LAW}covariance": np.eye(2)}, "expected 3, got 2"),
    "no number": ("a law", {f"{LAW}task_variance": np.array(0.0)}, "task_variance: expected 0 or"),
    "sums that are none": ("sums", {f"{SUM}fourth": -np.eye(3)}, "fourth: expected no negative"),
    "text": ("sums", {f"{SUM}mean": np.array(["a"])}, "mean: expected a square matrix"),
    "not centred or centred": ("sums", {"paper.centred": None}, "expected an array 'centred'"),
    "steps that diverge": (
        "foundation",
        {f"{FOUND}steps": 3.0 * np.array(FOUNDATION.steps)},
        "expected layers with a residual in",
    ),
    "steps that are none": ("foundation", {f"{FOUND}steps": np.ones(4)}, "expected steps of two"),
    "no grid": ("foundation", {f"{FOUND}lambda_grid": np.zeros(2)}, "numbers above 0, got others"),
}


@pytest.mark.parametrize(("name", "change", "sentence"), FORGED.values(), ids=FORGED)
def test_weights_that_are_none_are_refused_with_a_sentence(tmp_path, name, change, sentence):
    draft, arrays = layer_draft("bikes", MODELS[name], SCHEMA, CREATED)
    kept = {key: leaf for key, leaf in (arrays | change).items() if leaf is not None}
    Store(tmp_path).save(draft, kept)

    with pytest.raises(ArtifactError, match=sentence):
        load_stored(tmp_path, "bikes")


def test_a_manifest_of_a_kind_that_nobody_knows_is_refused(tmp_path):
    store = Store(tmp_path)
    version = store.save(*layer_draft("bikes", MODELS["sums"], SCHEMA, CREATED))
    folder = tmp_path / "bikes" / "versions" / version
    manifest = json.loads((folder / "manifest.json").read_text()) | {"kind": "oracle"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    name = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()[:12]
    folder.rename(folder.with_name(name))

    with pytest.raises(ArtifactError, match="kind: invalid enum value 'oracle'"):
        load_stored(tmp_path, "bikes", name)
