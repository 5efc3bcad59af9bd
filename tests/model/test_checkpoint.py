"""Model files: what can be served loads, and what cannot is refused with a sentence."""

import json

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, ArtifactError, load

PAPER = {"kind": "paper", "name": "p", "covariance": [[1.0, 0.0], [0.0, 2.0]]}


def file(tmp_path, entry):
    path = tmp_path / "model.json"
    path.write_text(entry if isinstance(entry, str) else json.dumps(entry))
    return path


def test_the_shipped_foundation_model_loads():
    artifact = load(FOUNDATION_FILE)

    assert artifact.name == "foundation"
    assert len(artifact.model.steps) == 4
    assert artifact.created.year >= 2026


def test_the_version_is_that_of_the_content(tmp_path):
    first, same = (load(file(tmp_path, PAPER)).version for _ in range(2))

    assert first == same
    assert load(file(tmp_path, {**PAPER, "noise_variance": 0.1})).version != first


def test_a_paper_model_is_made_from_its_law(tmp_path):
    model = load(file(tmp_path, {**PAPER, "noise_variance": 0.5, "task_variance": 2.0})).model

    gamma = (1 + 1 / 10) * np.diag([1.0, 2.0]) + (3.0 + 0.25) / 10 * np.eye(2)
    np.testing.assert_allclose(model.weights(10), np.linalg.inv(gamma), rtol=1e-12)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("{", "expected JSON, got input data was truncated"),
        ({**PAPER, "kind": "oracle"}, "kind: invalid value 'oracle'"),
        ({**PAPER, "name": "No Good"}, "name: expected str matching regex"),
        ({**PAPER, "covariance": [[1.0, 0.0]]}, "expected 1 rows of 1 numbers"),
        ({**PAPER, "covariance": [[1.0, 0.5], [0.0, 1.0]]}, "expected a symmetric matrix"),
        ({**PAPER, "covariance": [[1.0, 2.0], [2.0, 1.0]]}, "no negative eigenvalue"),
        ({**PAPER, "covariance": [[float("nan")]]}, "expected JSON, got invalid character (byte"),
        ({**PAPER, "columns": [{"name": "a"}]}, "columns: expected 2 (covariance), got 1"),
        ({**PAPER, "colour": "red"}, "colour: no such field"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_served_is_refused_with_a_sentence(tmp_path, entry, sentence):
    with pytest.raises(ArtifactError) as caught:
        load(file(tmp_path, entry))

    assert str(caught.value).startswith("model.json: ")
    assert sentence in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_layers_that_could_diverge_are_refused(tmp_path):
    entry = json.loads(FOUNDATION_FILE.read_text())
    entry["steps"][1][0] *= 5

    with pytest.raises(ArtifactError, match="expected layers with a residual in"):
        load(file(tmp_path, entry))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"absent\.json: No such file"):
        load(tmp_path / "absent.json")
