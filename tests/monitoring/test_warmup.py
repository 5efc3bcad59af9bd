"""The first prompts of a model without a reference become one, or are told why not."""

import numpy as np
import pytest

from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.baseline import build
from monitoring.observation import observe
from monitoring.warmup import NUMBERS_KEPT, ROWS_OF_PROMPT, WIDTHS_KEPT, Warmup
from tests.monitoring.quiet import COVARIANCE, prompts, quiet, seen

pytestmark = pytest.mark.slow  # seconds, all together

THREE = np.diag([1.0, 0.5, 0.3])
WIDE = PaperModel(THREE, noise_variance=0.5, centred=False)


def add(warmup, block, **model):
    found = seen(block, **model)
    return warmup.add(observe(found.served), found.served, found.covariates)


def test_four_hundred_prompts_are_a_reference():
    warmup = Warmup("paper")
    made = [add(warmup, prompts(place, 40)) for place in range(10)]

    assert made[:9] == [None] * 9
    assert made[9].prompt_count == 400
    assert made[9].feature_count == 2
    assert warmup.complaint == ""


def test_the_reference_is_that_of_the_prompts_in_the_order_they_came():
    block = prompts([0, 20], 400)
    split = [np.split(part, 8) for part in (*block.context, block.queries)]
    warmup = Warmup("paper")
    made = [add(warmup, Block(Examples(x, y), v)) for x, y, v in zip(*split, strict=True)]

    own, expected = made[7].to_arrays(), build(quiet(), "paper").to_arrays()
    assert made[:7] == [None] * 7
    assert set(own) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(own[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_settings_say_how_many_prompts_and_which_window():
    warmup = Warmup("paper", prompts_min=60, window_prompts=30)
    made = [add(warmup, prompts(place, 30)) for place in range(2)]

    assert made[0] is None
    assert (made[1].prompt_count, made[1].window_prompts) == (60, 30)


def test_the_number_of_features_with_enough_prompts_first_is_watched():
    warmup = Warmup("paper")
    made = [
        add(warmup, prompts(0, 200)),
        add(warmup, prompts(1, 399, covariance=THREE), model=WIDE),
    ]
    made.append(add(warmup, prompts(2, 1, covariance=THREE), model=WIDE))

    assert made[:2] == [None, None]
    assert (made[2].feature_count, made[2].prompt_count) == (3, 400)


def test_no_more_numbers_of_features_are_kept_than_a_few():
    warmup = Warmup("paper")
    for d in range(1, WIDTHS_KEPT + 3):
        model = PaperModel(np.eye(d), noise_variance=0.5, centred=False)
        add(warmup, prompts(d, 2, covariance=np.eye(d)), model=model)

    assert len(warmup._collected) == WIDTHS_KEPT
    assert add(warmup, prompts(0, 400, covariance=np.eye(1)), model=PaperModel(np.eye(1), 0.5))


def test_prompts_that_are_no_normal_are_forgotten_with_a_complaint():
    warmup = Warmup("paper")
    refused = add(warmup, prompts(0, 400, noise=400.0))
    complaint = warmup.complaint
    early = add(warmup, prompts(1, 399))

    assert refused is None
    assert "of the labels' own variance" in complaint
    assert early is None
    assert add(warmup, prompts(2, 1)).prompt_count == 400


def test_covariates_that_never_vary_are_complained_about_and_forgotten():
    warmup = Warmup("paper")
    block = prompts(0, 400)
    block.context.x[:], block.queries[:] = 1.0, 1.0
    w = np.random.default_rng(0).normal(size=(400, 1))
    block.context.y[:] = w + 0.1 * np.random.default_rng(1).normal(size=(400, 20))
    model = PaperModel(np.ones((2, 2)), noise_variance=0.01, task_variance=0.25, centred=False)

    assert add(warmup, block, model=model) is None
    assert "expected a feature that varies" in warmup.complaint
    assert warmup._collected == {}


def test_rows_that_are_kept_are_their_own_and_bounded():
    warmup = Warmup("paper")
    block = prompts(0, 3, M=10 * ROWS_OF_PROMPT)
    add(warmup, block)
    kept = warmup._collected[2].covariates
    block.context.x[:] = 0.0

    assert [x.shape for x in kept] == [(ROWS_OF_PROMPT, 2)] * 3
    assert all(x.any() for x in kept)


def test_many_numbers_are_enough_before_there_are_many_prompts():
    warmup = Warmup("paper", prompts_min=100_000)
    count = NUMBERS_KEPT // (ROWS_OF_PROMPT * 2)
    collected = 0
    for place in range(0, count, 512):
        made = add(warmup, prompts(place, 512, M=ROWS_OF_PROMPT, noise=3.0), model=NOISY)
        collected += 512
        if made is not None:
            break

    assert made.prompt_count == collected == count


NOISY = PaperModel(COVARIANCE, noise_variance=3.0, centred=False)


def test_lengths_in_other_working_coordinates_are_collected_together():
    """A profile may answer short prompts with an intercept of their own: p = d + 1."""
    warmup, found = Warmup("paper"), seen(prompts(0, 150))
    other = seen(prompts(1, 250, covariance=THREE), model=WIDE)
    warmup.add(observe(found.served), found.served, found.covariates)
    made = warmup.add(observe(other.served), other.served, prompts(1, 250).context.x)

    assert made.basis.shape == (3, 3)
    assert made.feature_count == 2


@pytest.mark.parametrize("kind", ["paper", "foundation", "profile"])
def test_every_kind_of_model_has_its_own_line(kind):
    warmup, found = Warmup(kind), seen(prompts(0, 400))
    observed = observe(found.served)
    factor = {"paper": 3.1, "foundation": 1.3, "profile": 1.3}[kind]
    made = warmup.add(
        observed._replace(ridge=observed.loo / factor), found.served, found.covariates
    )

    assert made is None
    assert "times that of an exact ridge" in warmup.complaint
