import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (README, Pretraining)")

from model.pretrain.foundation import gpu_is_present  # noqa: E402  what follows needs torch
from model.pretrain.minibatch import EVERY, train  # noqa: E402
from model.tasks import Law, exponential_spectra, rotated, spectrum  # noqa: E402
from model.theory import exponential_optimum, optimum, risk  # noqa: E402

DEVICES = ["cpu", "cuda"] if gpu_is_present() else ["cpu"]
LAW = Law(rotated(np.random.default_rng(0), spectrum(3, 10.0)))


@pytest.fixture(scope="module")
def short():
    return train(LAW.covariance[None], 12, steps=300)


def test_sampled_prompts_lead_near_the_closed_form(short):
    best = risk(optimum(LAW, 12), LAW, 12)

    assert short.ratios[0] > 2.0
    assert 1.0 <= short.ratios[-1] < 1.02
    assert 1.0 <= risk(short.A, LAW, 12) / best < 1.02


def test_the_exact_loss_is_looked_at_from_the_first_step_to_the_last(short):
    assert list(short.steps) == list(range(0, 301, EVERY))
    assert len(short.ratios) == len(short.steps)


def test_the_other_weights_of_the_answer_stay_small_and_are_not_exported(short):
    leaks = np.abs([*short.W_PV[-1, :-1], *short.W_KQ[-1, :-1]])

    assert 0.0 < leaks.max() < 0.05
    assert pytest.approx(short.A) == short.W_PV[-1, -1] * short.W_KQ[:-1, :-1].T


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_seed_gives_the_same_weights_and_another_does_not(device):
    first, again, other = (
        train(LAW.covariance[None], 12, steps=10, seed=seed, device=device) for seed in (0, 0, 1)
    )

    assert np.array_equal(first.A, again.A)
    assert not np.allclose(first.A, other.A)


@pytest.mark.slow
def test_prompts_of_random_covariances_lead_to_the_scalar_of_theorem_4_5():
    diagonals = exponential_spectra(np.random.default_rng(1), 2000, 3)[:, None] * np.eye(3)
    trained = train(diagonals, 20, steps=1200)

    assert trained.ratios[-1] < 1.01
    assert pytest.approx(exponential_optimum(3, 20) * np.eye(3), abs=0.03) == trained.A


def test_training_gives_the_threads_back():
    before = torch.get_num_threads()
    train(LAW.covariance[None], 12, steps=1)

    assert torch.get_num_threads() == before
