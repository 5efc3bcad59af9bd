import json
import stat
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (README, Pretraining)")

from model.checkpoint import load  # noqa: E402  what follows needs torch
from model.layers import inverse_polynomial  # noqa: E402
from model.pretrain import foundation  # noqa: E402
from model.pretrain.foundation import (  # noqa: E402
    Trained,
    Uncertified,
    certified,
    learning_rate,
    relative_error,
    save,
    train,
)
from model.pretrain.spectra import training_spectra  # noqa: E402

pytestmark = pytest.mark.slow  # seconds, all together

SAFE = ((9.0, 0.7), (8.0, -0.8), (9.0, 1.3), (9.0, 0.0))
UNSAFE = {
    "overshoots": ((30.0, 0.5), (1.0, 0.0)),
    "is just past the bound": ((1.11, 0.0),),
    "has a negative inverse": ((-1.0, 0.5), (-1.0, 0.0)),
    "does nothing": ((0.0, 0.0), (0.0, 0.0)),
    "is not a number": ((float("nan"), 0.5), (1.0, 0.0)),
    "overflows": ((1e200, 1e200), (1e200, 0.0)),
}
SHORT = 60
DEVICES = ["cpu", "cuda"] if foundation.gpu_is_present() else ["cpu"]


@pytest.fixture(scope="module")
def short():
    return train(seed=3, steps=SHORT)


def planted(steps=SAFE):
    return Trained(steps, (2.0, 1.5), 1.4, seed=7, prompt_count=12, skipped_count=0)


def test_the_same_seed_gives_the_same_scalars(short):
    again, other = train(seed=3, steps=SHORT), train(seed=4, steps=SHORT)

    assert again == short
    assert other.steps != short.steps


def test_a_short_training_reduces_the_loss(short):
    assert np.mean(short.losses[-10:]) < 0.8 * np.mean(short.losses[:10])
    assert len(short.losses) == SHORT
    assert short.skipped_count == 0


def test_a_short_training_beats_the_first_scalars_on_prompts_it_has_not_seen(short):
    unseen = training_spectra(99, prompts=100)
    untrained = [foundation.FIRST_STEP] * 4

    assert relative_error(short.steps, unseen) < 0.5 * relative_error(untrained, unseen)


def test_the_last_covariate_step_is_exported_as_zero(short):
    assert len(short.steps) == 4
    assert short.steps[-1][1] == 0.0
    assert all(b != 0.0 for _, b in short.steps[:-1])


def test_progress_is_told_after_every_step():
    told = []
    trained = train(steps=5, layers=2, on_step=lambda step, loss: told.append((step, loss)))

    assert told == list(enumerate(trained.losses, start=1))


def test_the_rate_warms_up_and_comes_down():
    rates = [learning_rate(step, 1200) for step in range(1200)]

    assert rates[0] == pytest.approx(0.001)
    assert rates[49] == rates[50] == pytest.approx(0.05)
    assert rates.index(max(rates)) == 49
    assert np.all(np.diff(rates[50:]) < 0.0)
    assert rates[-1] < 1e-6


def test_the_polynomial_with_gradients_is_that_of_the_served_layers():
    s = np.geomspace(1e-6, 1.0, 500)
    weights = torch.tensor(SAFE, dtype=torch.float64)
    ours = foundation._polynomial(torch.as_tensor(s), weights).numpy()

    assert np.allclose(ours, inverse_polynomial(s, SAFE), rtol=1e-12, atol=0.0)


def test_a_step_that_is_not_finite_is_skipped_and_counted(monkeypatch):
    spoilt = training_spectra(0, prompts=50)
    gram = spoilt.gram.copy()
    gram[0] = np.nan
    spoilt = replace(spoilt, gram=gram)
    monkeypatch.setattr(foundation, "training_spectra", lambda seed: spoilt)
    trained = train(steps=40)

    assert trained.skipped_count == np.isnan(trained.losses).sum() > 0
    assert np.isfinite(trained.steps).all()
    assert trained.steps[0] != foundation.FIRST_STEP


def test_layers_just_inside_the_bound_are_certified():
    assert certified(((1.09, 0.0),)).residual_min == pytest.approx(-0.09)


@pytest.mark.parametrize("steps", UNSAFE.values(), ids=UNSAFE)
def test_layers_that_could_diverge_are_not_written(tmp_path, steps):
    path = tmp_path / "foundation.json"
    path.write_text("the old one")
    with pytest.raises(Uncertified, match="nothing was written"):
        save(planted(steps), path)

    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["foundation.json"]


def test_a_saved_model_is_loaded_with_the_very_same_scalars(tmp_path, short):
    path = tmp_path / "mine.json"
    trained = replace(short, steps=(*SAFE[:3], (9.0 + 1 / 3, 0.0)))
    save(trained, path)
    artifact = load(path)

    assert artifact.name == "mine"
    assert tuple(artifact.model.steps) == trained.steps
    assert [file.name for file in tmp_path.iterdir()] == ["mine.json"]


def test_a_saved_model_says_how_it_was_made(tmp_path):
    path = tmp_path / "foundation.json"
    found = save(planted(), path)
    provenance = json.loads(path.read_text())["provenance"]

    assert provenance["command"] == "sonoba pretrain-foundation --seed 7 --steps 2 --layers 4"
    assert provenance["certificate"] == certified(SAFE)._asdict() == found._asdict()
    assert "+" not in provenance["torch"]
    assert str(tmp_path) not in path.read_text()


def test_a_saved_model_can_be_read_by_others_as_the_umask_says(tmp_path):
    beside = tmp_path / "beside"
    beside.touch()
    path = tmp_path / "foundation.json"
    save(planted(), path)

    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


@pytest.mark.slow
def test_the_recipe_gives_the_shipped_layers_again():
    """Up to what another processor's rounding makes of 1,200 steps: single scalars move by 5 %."""
    from model.checkpoint import FOUNDATION_FILE

    shipped = json.loads(FOUNDATION_FILE.read_text())
    provenance = shipped["provenance"]
    trained = train(provenance["seed"], provenance["train_steps"])
    s = np.geomspace(1e-3, 1.0, 2001)  # (2001,)
    left, left_shipped = (
        1 - s * inverse_polynomial(s, x) for x in (trained.steps, shipped["steps"])
    )

    np.testing.assert_allclose(left, left_shipped, atol=0.01)
    assert trained.final_loss == pytest.approx(provenance["final_loss"], rel=0.01)
    assert trained.prompt_count == provenance["prompts"]


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_trains_the_same_scalars(short, device):
    trained = train(seed=3, steps=SHORT, device=device)

    assert np.allclose(trained.steps, short.steps, rtol=1e-6)
