"""The self-test lets every kind of model pass, and none with a fault that serving would show."""

import time
from datetime import UTC, datetime

import numpy as np
import pytest

from model.answer import Mode
from model.checkpoint import FOUNDATION_FILE, Artifact, ArtifactError, load, load_stored
from model.coordinates import ALL
from model.foundation import FoundationModel
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_parameters import ProfileParameters
from model.prompt import Block, Examples
from model.schema import Schema
from service import self_test as tested
from service.self_test import own_prompts, self_test
from tests.model import profiles
from tests.service import watched

pytestmark = pytest.mark.slow  # seconds, all together

FOUNDATION = load(FOUNDATION_FILE).model
LAW = np.diag([1.0, 0.5, 0.25])


def artifact(model, reference=None):
    return Artifact("m", "v", Schema(), datetime(2026, 1, 2, tzinfo=UTC), model, reference or {})


@pytest.mark.parametrize("coordinates", ALL)
def test_a_profile_passes_and_answers_prompts_of_its_own_kind_itself(coordinates):
    made = artifact(ProfileModel(profiles.learnt(coordinates), fallback=FOUNDATION))
    self_test(made, artifact(FOUNDATION))
    block = own_prompts(made, 16)

    spread = (block.context.x.mean(axis=(0, 1)) - profiles.CENTRE) / profiles.SPREAD
    assert np.abs(spread).max() < 1.0  # of the history's own place and size
    assert set(made.model.answer(block).modes) == {Mode.PROFILE}


MODELS = {
    "foundation": FOUNDATION,
    "paper": PaperModel(LAW, noise_variance=0.5),
    "uncentred paper": PaperModel(LAW, noise_variance=0.5, centred=False),
    "paper of many features": PaperModel(np.eye(64), noise_variance=0.1),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_other_models_pass(model):
    self_test(artifact(model))


def test_rows_are_drawn_where_the_reference_lies():
    known = {"normal.mean": np.array([5.0, -9.0]), "normal.deviation": np.array([0.1, 30.0])}
    x = own_prompts(artifact(FOUNDATION, known), 48).context.x

    np.testing.assert_allclose(x.mean(axis=(0, 1)), known["normal.mean"], atol=5.0)
    np.testing.assert_allclose(x.std(axis=(0, 1)), known["normal.deviation"], rtol=0.2)


class Faulty(FoundationModel):
    """Answers as the foundation model does, then changes something."""

    def answer(self, block):
        return self.changed(super().answer(block), block)

    @classmethod
    def made(cls):
        return cls(FOUNDATION.steps, FOUNDATION.lambda_grid, FOUNDATION.correction_bound)


class Infinite(Faulty):
    def changed(self, answer, block):
        answer.predictions[0, 0] = np.inf
        return answer


class Mixed(Faulty):
    """Hands every prompt of a block the answer of its neighbour."""

    def changed(self, answer, block):
        return answer._replace(predictions=np.roll(answer.predictions, 1, axis=0))


class Strange(Faulty):
    """Answers something that its estimator does not say."""

    def changed(self, answer, block):
        return answer._replace(predictions=answer.predictions * (1.0 + 1e-7))


class Blind(Faulty):
    """Takes NaN in a row without a label's weight for nothing, as a product that skips zeros."""

    def answer(self, block):
        gaps = np.isnan(block.context.x).any(axis=2)  # (B, M)
        labels = np.where(block.context.y == 0.0, 0.0, np.nan)
        if not np.isnan(labels[gaps]).any():
            x = np.nan_to_num(block.context.x)
            block = Block(Examples(x, block.context.y), block.queries)
        return super(Faulty, self).answer(block)


class Handing(Faulty):
    """Lets another model answer."""

    def changed(self, answer, block):
        return answer._replace(modes=bytearray([Mode.MEAN]) * len(answer.modes))


class Slow(Faulty):
    def changed(self, answer, block):
        if len(answer.modes) == 1:
            time.sleep(0.03)
        return answer


FAULTS = {
    Infinite: "expected finite answers, got others",
    Mixed: "one by one, answers differ by",
    Strange: "its estimator differs by 1e-07 of the largest answer",
    Blind: "NaN in a row with label 0 was answered",
    Handing: "expected answers of FOUNDATION to its own kind, got MEAN",
}


@pytest.mark.parametrize(("kind", "sentence"), FAULTS.items(), ids=lambda one: str(one)[-20:])
def test_a_fault_is_found_and_named(kind, sentence):
    with pytest.raises(ArtifactError, match=f"^m/v: self-test: {sentence}"):
        self_test(artifact(kind.made()))


def test_a_slow_version_is_refused_unless_it_is_fast_enough_or_the_one_in_force_is_as_slow(
    monkeypatch,
):
    slow = artifact(Slow.made())
    self_test(slow, artifact(FOUNDATION))  # a prompt may take a quarter of a second
    monkeypatch.setattr(tested, "SLOW_SECONDS", 1e-6)
    self_test(slow, slow)

    with pytest.raises(ArtifactError, match=r"self-test: expected a prompt in 0\.\d+ s, got 0\.03"):
        self_test(slow, artifact(FOUNDATION))


def test_a_profile_that_would_hand_on_its_own_kind_is_refused():
    cold = ProfileModel(ProfileParameters(3, 2, np.array(FOUNDATION.steps)), fallback=FOUNDATION)
    with pytest.raises(ArtifactError, match="expected answers of PROFILE to its own kind, got FO"):
        self_test(artifact(cold))
    alone = ProfileModel(ProfileParameters(3, 2, np.array(FOUNDATION.steps)))
    with pytest.raises(ArtifactError, match="prompt 0 of its own kind was refused"):
        self_test(artifact(alone))


def test_a_stored_profile_with_its_reference_passes(tmp_path):
    self_test(load_stored(watched.save(tmp_path), watched.NAME, fallback=FOUNDATION))
