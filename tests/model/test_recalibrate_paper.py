"""The paper's layer recalibrated from sums, against the formula on the prompts themselves."""

import numpy as np
import pytest

from model.paper import PaperModel
from model.prompt import Block, Examples
from model.recalibrate_paper import recalibrated_paper
from tests.model.windows import window

D, NOISE, TASK = 4, 0.2, 0.5
COVARIANCE = np.diag([1.0, 0.7, 0.4, 0.2])
SHIFTED = np.array([[2.0, 0.8, 0, 0], [0.8, 1.0, 0, 0], [0, 0, 0.3, 0.1], [0, 0, 0.1, 0.3]])
BASIS = np.linalg.inv(np.linalg.cholesky(COVARIANCE)).T / np.sqrt(0.05)


def prompts(count, length, seed, covariance=SHIFTED, noise=NOISE, task=TASK, queries=1):
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(covariance)
    x = rng.normal(size=(count, length + queries, D)) @ root.T
    w = np.sqrt(task) * rng.normal(size=(count, D))
    y = np.einsum("nmd,nd->nm", x, w) + np.sqrt(noise) * rng.normal(size=x.shape[:2])
    block = Block(Examples(x[:, :length], y[:, :length]), x[:, length:])
    return block, y[:, length:]


def model(centred=False):
    return PaperModel(COVARIANCE, NOISE, TASK, centred)


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_weights_are_those_of_the_formula(centred):
    served, (block, _) = model(centred), prompts(1500, 20, 0)
    made = recalibrated_paper(served, [window(served, block, BASIS)])
    law, n = made.parameters, 20 - centred

    x = block.context.x - centred * block.context.x.mean(axis=1, keepdims=True)
    S = x.mT @ x / n
    ratio = law.noise_variance / law.task_variance / n
    naive = S.mean(axis=0) @ np.linalg.inv((S @ S).mean(axis=0) + ratio * S.mean(axis=0))

    # E[S²] of long prompts is held above E[S]², of which few prompts fall short
    assert made.weights(n) == pytest.approx(naive, abs=0.01 * np.abs(naive).max())


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_noise_and_tasks_are_found(centred):
    served = model(centred)
    told = [
        window(served, prompts(1500, length, length, noise=0.6, task=1.5)[0], BASIS)
        for length in (12, 40)
    ]

    law = recalibrated_paper(served, told).parameters

    assert law.noise_variance == pytest.approx(0.6, rel=0.1)
    assert law.task_variance == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("length", [12, 40])
def test_it_errs_as_little_as_the_layer_of_the_true_law(length):
    served, best = model(), PaperModel(SHIFTED, NOISE, TASK, False)
    told = [window(served, prompts(128, M, M)[0], BASIS) for M in (12, 40)]
    block, truth = prompts(2000, length, 7, queries=4)

    errors = [
        float(np.mean((one.answer(block).predictions - truth) ** 2))
        for one in (served, recalibrated_paper(served, told), best)
    ]

    assert errors[0] > 1.5 * errors[2]
    assert errors[1] <= 1.03 * errors[2]


def test_few_prompts_take_the_formula_of_normal_rows():
    served, (block, _) = model(), prompts(12, 20, 3)
    made = recalibrated_paper(served, [window(served, block, BASIS)])
    law, x = made.parameters, block.context.x

    S = (x.mT @ x / 20).mean(axis=0)
    gamma = 1.05 * S + (np.trace(S) + law.noise_variance / law.task_variance) / 20 * np.eye(D)

    assert made.weights(20) == pytest.approx(np.linalg.inv(gamma), rel=1e-9)


def test_labels_of_noise_alone_leave_the_known_ratio():
    served, (block, _) = model(), prompts(200, 20, 5, task=1e-12)

    law = recalibrated_paper(served, [window(served, block, BASIS)]).parameters

    assert (law.noise_variance, law.task_variance) == (NOISE, TASK)


def test_no_prompt_is_refused():
    with pytest.raises(ValueError, match="prompts: expected some of several examples"):
        recalibrated_paper(model(), [])
