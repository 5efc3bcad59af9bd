"""Train the steps (a_l, b_l) of the `foundation` layers by gradient (docs/model.md, section 2).

A prompt's error is its risk divided by that of Bayes ridge: absolute errors would let the few
noisy prompts of large scale decide. Two penalties on the residual polynomial r(s) = 1 - s p(s)
keep the layers safe on spectra the prompts do not show; `certified` then decides, on [1e-6, 1].
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.foundation import LAMBDA_GRID
from model.layers import Steps, certificate, inverse_polynomial
from model.pretrain.spectra import Spectra, risk, training_spectra

TRAIN_STEPS = 1200
LAYERS = 4
BATCH = 512
LEARNING_RATE = 0.05
WARM_UP_STEPS = 50
FIRST_STEP = (1.5, 0.5)  # (a, b) of every layer before training: stable for any prompt
ERROR_CLAMP = 20.0  # a prompt this far off must not drown the others
OVERSHOOT_WEIGHT = 0.02  # on |r| above 1, where a pass would make the residual longer
RESIDUAL_WEIGHT = 0.003  # on r² where s > 0.02: few passes suffice when r is small
RESIDUAL_FROM = 0.02
CORRECTION_BOUND = 0.05

OnStep = Callable[[int, float], None]
"""Called after every training step with the steps done and the loss of the batch."""


class Uncertified(Exception):
    """Layers that could make a prompt worse, and by how much; they are never written."""


class Certificate(NamedTuple):
    """Extremes of the residual r and the inverse p on [1e-6, 1]."""

    residual_min: float
    residual_max: float
    inverse_min: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of one training run; `losses` has one number a step."""

    steps: tuple[tuple[float, float], ...]  # (a, b) a layer; the last b is unused and 0
    losses: tuple[float, ...]
    final_loss: float  # of all training prompts at the end
    seed: int
    prompt_count: int
    skipped_count: int  # steps left out because loss or gradient was not finite


def train(
    seed: int = 0,
    steps: int = TRAIN_STEPS,
    layers: int = LAYERS,
    device: str = "cpu",
    on_step: OnStep | None = None,
) -> Trained:
    """Return trained layers; the same seed, device and versions give the same numbers.

    device is a torch device, `cpu` or `cuda`. Nothing is refused here: `save` asks `certified`.
    """
    spectra = training_spectra(seed)
    tensors = _tensors(spectra, device)
    weights = torch.tensor([FIRST_STEP] * layers, dtype=torch.float64, device=device)  # (L, 2)
    weights.requires_grad_()
    rows = np.random.default_rng((seed, 1)).integers(len(spectra.gram), size=(steps, BATCH))
    losses, skipped = _descend(weights, tensors, rows, on_step)
    with torch.no_grad():
        final = _loss(weights, *tensors).item()
    found = [(a, b) for a, b in weights.tolist()]
    found[-1] = (found[-1][0], 0.0)  # it moves nothing that is read
    return Trained(tuple(found), tuple(losses), final, seed, len(spectra.gram), skipped)


def gpu_is_present() -> bool:
    """Return whether torch can train on `cuda` here."""
    return bool(torch.cuda.is_available())


def learning_rate(step: int, steps: int) -> float:
    """Return the rate of a step: linear up to 0.05 over 50 steps, then half a cosine down to 0."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    done = max(0, step - WARM_UP_STEPS) / max(steps - WARM_UP_STEPS, 1)
    return LEARNING_RATE * warm * 0.5 * (1.0 + math.cos(math.pi * done))


def relative_error(steps: Steps, spectra: Spectra) -> float:
    """Return the mean over prompts of risk ÷ Bayes-ridge risk after one pass; 1 is perfect."""
    t = spectra.lifted  # (n, d)
    rho = np.linalg.norm(t, axis=1, keepdims=True)  # (n, 1)
    inverse = inverse_polynomial(t / rho, steps) / rho  # (n, d)
    reached = risk(spectra.gram, spectra.query_power, spectra.noise, inverse)  # (n,)
    return float((reached / spectra.ridge_risk).mean())


def certified(steps: Steps) -> Certificate:
    """Return the certificate of the layers, or raise `Uncertified`: -0.1 <= r < 1 and p > 0."""
    with np.errstate(all="ignore"):  # layers that overflow are refused below
        found = Certificate(*certificate(steps))
    safe = found.residual_min >= -0.1 and found.residual_max < 1.0 and found.inverse_min > 0.0
    if not safe:  # also when a number is NaN, which compares as false
        raise Uncertified(
            "expected layers with a residual in [-0.1, 1) and a positive inverse on [1e-6, 1], got "
            f"a residual in [{found.residual_min:.4g}, {found.residual_max:.4g}] and an inverse "
            f"down to {found.inverse_min:.4g}; nothing was written"
        )
    return found


def save(trained: Trained, path: Path) -> Certificate:
    """Write the model file that `sonoba serve` reads, all at once; raise `Uncertified` first.

    The model is named after the file: `foundation.json` holds `foundation`.
    """
    found = certified(trained.steps)
    entry = {
        "kind": "foundation",
        "name": path.stem,
        "steps": trained.steps,
        "lambda_grid": LAMBDA_GRID,
        "correction_bound": CORRECTION_BOUND,
        "provenance": _provenance(trained, found),
    }
    lines = ",\n".join(
        f' "{key}": {json.dumps(value, allow_nan=False)}' for key, value in entry.items()
    )
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(f"{{\n{lines}\n}}\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return found


def _provenance(trained: Trained, found: Certificate) -> dict[str, object]:
    """Return how the numbers were made; no path and no host, so that every machine agrees."""
    steps, layers = len(trained.losses), len(trained.steps)
    command = f"sonoba pretrain-foundation --seed {trained.seed} --steps {steps} --layers {layers}"
    return {
        "command": command,
        "seed": trained.seed,
        "train_steps": steps,
        "prompts": trained.prompt_count,
        "torch": str(torch.__version__).partition("+")[0],  # without the build, CPU or CUDA
        "numpy": np.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "final_loss": trained.final_loss,
        "certificate": found._asdict(),
        "recipe": "docs/model.md",
    }


def _descend(
    weights: torch.Tensor,  # (L, 2)
    tensors: Sequence[torch.Tensor],
    rows: NDArray[np.int64],  # (steps, BATCH) prompts of every batch
    on_step: OnStep | None,
) -> tuple[list[float], int]:
    """Move the weights in place; return the loss of every batch and how many steps were skipped."""
    optimiser = torch.optim.Adam([weights])
    losses, skipped = [], 0
    for step, batch in enumerate(rows):
        optimiser.param_groups[0]["lr"] = learning_rate(step, len(rows))
        optimiser.zero_grad()
        loss = _loss(weights, *(tensor[batch] for tensor in tensors))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([weights], 1.0)
        if torch.isfinite(loss) and torch.isfinite(norm):
            optimiser.step()
        else:
            skipped += 1
        losses.append(loss.item())
        if on_step:
            on_step(step + 1, losses[-1])
    return losses, skipped


def _tensors(spectra: Spectra, device: str) -> list[torch.Tensor]:
    """Return g, query power (n, d), σ² (n, 1) and the Bayes-ridge risk (n,) on a device."""
    arrays = (spectra.gram, spectra.query_power, spectra.noise, spectra.ridge_risk)
    return [torch.as_tensor(array, device=device) for array in arrays]


def _loss(
    weights: torch.Tensor,  # (L, 2)
    gram: torch.Tensor,  # (n, d)
    query_power: torch.Tensor,  # (n, d)
    noise: torch.Tensor,  # (n, 1)
    ridge_risk: torch.Tensor,  # (n,)
) -> torch.Tensor:
    """Return the mean clamped error plus the two penalties on the residual polynomial."""
    t = gram + noise  # (n, d)
    rho = t.norm(dim=1, keepdim=True)  # (n, 1) ‖A‖_F
    inverse = _polynomial(t / rho, weights) / rho  # (n, d)
    error = risk(gram, query_power, noise, inverse) / ridge_risk  # (n,)
    s = torch.logspace(-3, 0, 300, dtype=weights.dtype, device=weights.device)  # (300,)
    r = 1.0 - s * _polynomial(s, weights)  # (300,)
    overshoot = torch.relu(r.abs() - 1.0).square().mean()
    residual = (r.square() * (s > RESIDUAL_FROM)).mean()
    penalties = OVERSHOOT_WEIGHT * overshoot + RESIDUAL_WEIGHT * residual
    return error.clamp(max=ERROR_CLAMP).mean() + penalties


def _polynomial(s: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return p(s) (...); equivalent to `model.layers.inverse_polynomial`, with gradients."""
    p, m = torch.zeros_like(s), torch.ones_like(s)  # (...)
    for a, b in weights:
        p = p + a * m * m * (1.0 - s * p)
        m = m - b * s * m * m * m
    return p
