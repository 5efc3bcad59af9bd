"""Panels of training: where it ends, from which initial scales, and what sampled prompts reach."""

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.flow import CLOSE, Descent, descend, loss, start, step_size
from model.tasks import exponential_spectra, rotated, spectrum
from model.theory import limit, random_scale_bound, scale_bound
from service.reproduce_report import Chart, Check, Effort, Panel, Series, absent, exact

Array = NDArray[np.float64]

INSIDE = np.sqrt(0.5)  # of the largest initial scale the theorem allows
RANDOM_COVARIANCES = 1000
SCALES = (0.1, 0.7, 1.0, 2.0, 3.0, 5.0, 10.0)  # in units of the bound
STARTS = 10  # random Θ for every scale
SHORT_STEPS = 50_000
MINIBATCH_STEPS = 1600

SCALE_TEXT = (
    "Theorem 4.1 asks for s² ‖Γ‖ √d < 2. The condition is sufficient, not necessary: the flow "
    "itself converged from every random start up to 10 × the bound. What fails outside is the "
    "step: the length that suits the end of training is too long for weights this large, and "
    "leaves for good from a few times the bound on; shortened by (‖A*‖_F^½/s)² it arrives."
)


def gpu_is_present() -> bool:
    """Return whether torch is here and can train on `cuda`."""
    if find_spec("torch") is None:
        return False
    from model.pretrain import foundation

    return foundation.gpu_is_present()


class _Setting(NamedTuple):
    name: str
    covariances: Array  # (n, d, d)
    N: int
    scale: float  # largest initial scale of the theorem


def _settings(quick: bool) -> list[_Setting]:
    """Return the fixed covariances of Theorem 4.1 and the random ones of Theorem 4.5."""
    rng = np.random.default_rng(0)
    settings = []
    for d, condition in ((5, 1.0), (5, 10.0), *(() if quick else ((20, 10.0),))):
        covariance = rotated(rng, spectrum(d, condition))  # (d, d)
        name = f"d = {d}, condition {condition:.0f}"
        settings.append(_Setting(name, covariance[None], 4 * d, scale_bound(covariance, 4 * d)))
    diagonals = exponential_spectra(rng, RANDOM_COVARIANCES, 5)[:, None] * np.eye(5)  # (n, d, d)
    theta = start(np.random.default_rng(1), 5, 1.0).U  # (d, d) ΘΘᵀ
    bound = random_scale_bound(diagonals, 20, theta)
    return [*settings, _Setting("d = 5, random diagonal", diagonals, 20, bound)]


def convergence(effort: Effort) -> Panel:
    """Follow the flow to the closed forms of Theorems 4.1 and 4.5."""
    checks: list[Check] = []
    curves = []
    for hue, setting in enumerate(_settings(effort.quick)):
        found = _followed(setting)
        checks += _ends(setting, found)
        steps = np.unique(np.geomspace(1, len(found.distances), 200).astype(int))  # (k,)
        distances = found.distances[steps - 1]  # (k,)
        curves.append(Series(setting.name, steps.tolist(), distances.tolist(), hue))
        checks += _torch_ends(setting, effort.device)
    text = (
        "Gradient flow from the paper's initialisation ends at uU = Γ⁻¹ for one covariance "
        "(Theorem 4.1) and at A* = (E ΓΛ²)⁻¹ E Λ² for random diagonal ones (Theorem 4.5; 1,000 "
        "draws of independent Exp(1)). Followed twice: by the equations (5.4) of the two weights, "
        "and by torch on the exact loss with all entries of both matrices free."
    )
    labels = "step", "‖uU − A*‖ ÷ ‖A*‖"
    chart = Chart("Distance from the closed form", *labels, tuple(curves), x_log=True, y_log=True)
    return Panel(
        "convergence", "Training converges to the closed form", text, (chart,), tuple(checks)
    )


def _followed(setting: _Setting) -> Descent:
    d = setting.covariances.shape[-1]
    begin = start(np.random.default_rng(1), d, INSIDE * setting.scale)
    return descend(begin, setting.covariances, setting.N)


def _ends(setting: _Setting, found: Descent) -> list[Check]:
    claim = f"{setting.name}: distance of the product after {len(found.distances) - 1:,} steps"
    end, rate = limit(setting.covariances, setting.N), step_size(setting.covariances, setting.N)
    size = f"{setting.name}: w22, which a finite step moves off ‖A*‖_F^½"
    return [
        exact(claim, 0.0, found.distance, CLOSE, "criterion"),
        exact(size, end.u, found.factors.u, rate / 2, "half the step size"),
    ]


def _torch_ends(setting: _Setting, device: str) -> list[Check]:
    """Return the same of all weights under torch, and that the others stay 0."""
    product = f"{setting.name}: distance of the product, all weights free (torch)"
    others = f"{setting.name}: largest entry outside W11 and w22 (torch)"
    if len(setting.covariances[0]) > 5:
        return []
    if find_spec("torch") is None:
        return [absent(product, "torch"), absent(others, "torch")]
    from model.pretrain import flow

    d = setting.covariances.shape[-1]
    begin = start(np.random.default_rng(1), d, INSIDE * setting.scale)
    flowed = flow.descend(begin, setting.covariances, setting.N, device=device)
    return [
        exact(product, 0.0, float(flowed.distances[-1]), CLOSE, "criterion"),
        exact(others, 0.0, flow.largest_other(flowed.weights), 0.0, "exactly"),
    ]


class _Scanned(NamedTuple):
    """Shares of the starts that converge, and the largest initial loss, at every scale."""

    usual: list[float]
    short: list[float]
    losses: list[float]


def initial_scale(effort: Effort) -> Panel:
    """Start inside and outside the theorem's condition on the initial scale."""
    covariances = rotated(np.random.default_rng(2), spectrum(5, 3.0))[None]  # (1, d, d)
    starts = 3 if effort.quick else STARTS
    scanned = _scan(covariances, 20, starts)
    inside = [i for i, scale in enumerate(SCALES) if scale <= 1.0]
    checks = (
        exact("share of starts inside the condition that converge", 1.0,
              min(scanned.usual[i] for i in inside), 0.0, "every one"),
        exact("share of them whose loss starts below that of answering 0", 1.0,
              float(np.mean([scanned.losses[i] < 0.0 for i in inside])), 0.0, "every one"),
        exact("outside, up to 10 ×, with steps short enough: share that converge", 1.0,
              min(scanned.short), 0.0, "every one"),
        exact("at 10 × with the usual step: share that converge", 0.0,
              scanned.usual[-1], 0.0, "none"),
    )  # fmt: skip
    series = (
        Series("usual step", SCALES, scanned.usual, 1, dots=True),
        Series("step × (‖A*‖_F^½ / s)²", SCALES, scanned.short, 0),
    )
    title = f"{starts} random starts a point (d = 5, condition 3)"
    labels = "initial scale ÷ bound of the theorem", "share that converges"
    chart = Chart(title, *labels, series, x_log=True)
    return Panel("scale", "The condition on the initial scale", SCALE_TEXT, (chart,), checks)


def _scan(covariances: Array, N: int, starts: int) -> _Scanned:
    bound, end = scale_bound(covariances[0], N), limit(covariances, N)
    rate = step_size(covariances, N)
    found = _Scanned([], [], [])
    for scale in SCALES:
        s = scale * bound
        begins = [start(np.random.default_rng(k), covariances.shape[-1], s) for k in range(starts)]
        short = rate * min(1.0, (end.u / s) ** 2)
        for shares, step, most in ((found.usual, rate, 20_000), (found.short, short, SHORT_STEPS)):
            arrived = [descend(b, covariances, N, step, most).distance < CLOSE for b in begins]
            shares.append(float(np.mean(arrived)))
        found.losses.append(max(loss(begin, covariances, N) for begin in begins))
    return found


def minibatch(effort: Effort) -> Panel:
    """Train on sampled prompts and compare the exact loss with that of the closed form."""
    text = (
        "Adam on every entry of both matrices, 256 prompts a step with 16 queries each, from the "
        "paper's initialisation. The loss of the weights is evaluated exactly, not on a sample."
    )
    title = "Training on sampled prompts gets there too"
    names = [setting.name for setting in _settings(quick=True)]
    claims = [f"{name}: loss ÷ that of the closed form" for name in names]
    if find_spec("torch") is None:
        checks = tuple(absent(claim, "torch") for claim in claims)
        return Panel("minibatch", title, text, (), checks)
    from model.pretrain.minibatch import train

    steps = MINIBATCH_STEPS // 2 if effort.quick else MINIBATCH_STEPS
    curves, ends = [], []
    for hue, setting in enumerate(_settings(quick=True)):
        trained = train(setting.covariances, setting.N, steps, device=effort.device)
        ratios = trained.ratios - 1.0  # (k,)
        curves.append(Series(setting.name, trained.steps.tolist(), ratios.tolist(), hue))
        ends.append(float(trained.ratios[-1]))
    found = zip(claims, ends, strict=True)
    checks = tuple(exact(claim, 1.0, end, 0.01, "1 %") for claim, end in found)
    labels = "training step", "loss ÷ loss of the closed form − 1"
    chart = Chart("Excess of the exact loss", *labels, tuple(curves), y_log=True)
    return Panel("minibatch", title, text, (chart,), checks)
