"""The panels of `sonoba reproduce`, in the order of the report."""

from collections.abc import Callable

from service.reproduce_depth import depth
from service.reproduce_figure_1 import figure_1
from service.reproduce_report import Effort, Panel
from service.reproduce_risk import optima, theorem_4_2
from service.reproduce_shift import shifts
from service.reproduce_training import convergence, initial_scale, minibatch

PANELS: dict[str, Callable[[Effort], Panel]] = {
    "convergence": convergence,
    "initial scale": initial_scale,
    "sampled prompts": minibatch,
    "Theorem 4.2": theorem_4_2,
    "optima": optima,
    "Figure 1": figure_1,
    "shifts": shifts,
    "depth": depth,
}
