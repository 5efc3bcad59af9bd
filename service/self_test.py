"""Whether a version that was read can also answer: prompts of its own kind, made from a seed.

Nothing but the version is needed: its rows are drawn from the law that it was made for, so a
profile must answer them itself. What is asked of it is what serving rests on: finite answers, the
same one by one and together, the ones its estimator says (monitoring watches that), NaN that does
not pass, and answers in time.
"""

import math
import time
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.checkpoint import Artifact, ArtifactError
from model.estimator import Estimating
from model.profile import ProfileModel
from model.prompt import Block, Examples

Array = NDArray[np.float64]

SEED = 20_260_101
PROMPTS, QUERIES = 6, 3
LENGTHS = (16, 48)
WIDTH = 5  # features, where a model takes any number
AGREEMENT = 1e-9  # of the largest answer
SLOWER, SLOW_SECONDS = 10.0, 0.25  # one prompt may take ten times as long, and up to the latter
TIMED = 5


@np.errstate(all="ignore")  # what is not finite is found in the answers
def self_test(artifact: Artifact, before: Artifact | None = None) -> None:
    """Raise `ArtifactError` with the first thing that keeps a version from being served.

    `before` is the version in force, by which time is judged; None where there is none.
    """
    for length in LENGTHS:
        block = own_prompts(artifact, max(length, artifact.model.example_count_min))
        answers = _answers(artifact, block)
        _check_singles(artifact, block, answers)
        _check_estimator(artifact, block, answers)
        _check_gap(artifact, block)
    _check_time(artifact, before)


class _Law(NamedTuple):
    """What rows and labels of a prompt are drawn from."""

    mean: Array  # (d,)
    root: Array  # (d, d) R of the rows' covariance RRᵀ
    label_mean: float = 0.0
    label_deviation: float = 1.0


def own_prompts(artifact: Artifact, length: int) -> Block:
    """Return prompts of the kind a version was made for, natural units."""
    law, rng = _law(artifact, length), Random(SEED + length)
    d = len(law.mean)
    z = _normals(rng, PROMPTS, length + QUERIES, d)  # (B, M+Q, d)
    slopes = _normals(rng, PROMPTS, d, 1) / math.sqrt(d)  # (B, d, 1)
    noise = _normals(rng, PROMPTS, length)  # (B, M)
    labels = 0.8 * (z[:, :length] @ slopes)[..., 0] + 0.6 * noise  # (B, M)
    x = law.mean + z @ law.root.T  # (B, M+Q, d)
    y = law.label_mean + law.label_deviation * labels  # (B, M)
    return Block(Examples(x[:, :length], y), x[:, length:], artifact.schema.names)


def _normals(rng: Random, *shape: int) -> Array:
    """Return draws of a standard normal; NumPy's generators would stay, 3 MB of every server."""
    count = math.prod(shape)
    return np.fromiter((rng.gauss() for _ in range(count)), np.float64, count).reshape(shape)


def _law(artifact: Artifact, length: int) -> _Law:
    model, known = artifact.model, artifact.reference
    if isinstance(model, ProfileModel) and model.parameters.buckets:
        made = model.parameters.bucket(length).reference
        root = made.sd[:, None] * np.linalg.cholesky(made.within)  # (d, d)
        return _Law(made.mean, root, made.label_mean, float(made.label_spreads[1]))
    if "normal.mean" in known and "normal.deviation" in known:
        mean, deviation = known["normal.mean"], known["normal.deviation"]  # (d,), (d,)
        return _Law(np.asarray(mean, np.float64), np.diag(np.asarray(deviation, np.float64)))
    d = artifact.feature_count or WIDTH
    return _Law(np.zeros(d), np.eye(d))


def _answers(artifact: Artifact, block: Block) -> Array:
    """Return the answers (B, Q) to prompts of a version's own kind; they must be its own."""
    own, answer = artifact.model.mode, artifact.model.answer(block)
    for prompt, refusal in answer.refusals:
        raise _failed(artifact, f"prompt {prompt} of its own kind was refused: {refusal}")
    if others := set(answer.modes) - {int(own)}:
        modes = " and ".join(Mode(mode).name for mode in sorted(others))
        raise _failed(artifact, f"expected answers of {own.name} to its own kind, got {modes}")
    if not np.isfinite(answer.predictions).all():
        raise _failed(artifact, "expected finite answers, got others")
    return answer.predictions


def _check_singles(artifact: Artifact, block: Block, answers: Array) -> None:
    """Refuse answers (B, Q) that are others when prompts come one by one."""
    parts = (slice(row, row + 1) for row in range(len(answers)))
    alone = [_answers(artifact, _part(block, part)) for part in parts]
    if (apart := _apart(np.concatenate(alone), answers)) > AGREEMENT:
        raise _failed(artifact, f"one by one, answers differ by {apart:.3g} of the largest")


def _part(block: Block, part: slice) -> Block:
    assert isinstance(block.context, Examples)  # own_prompts makes no sums
    x, y = block.context
    return Block(Examples(x[part], y[part]), block.queries[part], block.names)


def _check_estimator(artifact: Artifact, block: Block, answers: Array) -> None:
    """Refuse a model whose estimator, by which it would be watched, answers something else."""
    if isinstance(artifact.model, Estimating):
        told = artifact.model.estimator(block).smoother.predictions  # (B, Q)
        if not (apart := _apart(told, answers)) <= AGREEMENT:
            raise _failed(artifact, f"its estimator differs by {apart:.3g} of the largest answer")


def _apart(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _check_gap(artifact: Artifact, block: Block) -> None:
    """Refuse a model that answers in spite of NaN in a row whose label has no weight.

    That label is 0, as it is or about the mean: a product that skips zeros would miss the row.
    """
    one = _part(block, slice(1))
    assert isinstance(one.context, Examples)
    row = one.example_count // 2
    for label in (0.0, float(np.delete(one.context.y[0], row).mean())):
        x, y = one.context.x.copy(), one.context.y.copy()
        x[0, row, -1], y[0, row] = np.nan, label
        answer = artifact.model.answer(one._replace(context=Examples(x, y)))
        if answer.modes[0] or np.isfinite(answer.predictions).any():
            raise _failed(artifact, f"NaN in a row with label {label:.3g} was answered")


def _check_time(artifact: Artifact, before: Artifact | None) -> None:
    """Refuse a version that is far slower than the one in force, and slow."""
    most = SLOW_SECONDS
    if before is not None:
        most = max(most, SLOWER * float(np.median(_seconds(before))))
    if (took := min(_seconds(artifact))) > most:
        raise _failed(artifact, f"expected a prompt in {most:.3g} s, got {took:.3g} s")


def _seconds(artifact: Artifact) -> list[float]:
    """Return what one prompt takes, several times over."""
    length = max(LENGTHS[-1], artifact.model.example_count_min)
    one, took = _part(own_prompts(artifact, length), slice(1)), []
    for _ in range(TIMED):
        began = time.perf_counter()
        artifact.model.answer(one)
        took.append(time.perf_counter() - began)
    return took


def _failed(artifact: Artifact, sentence: str) -> ArtifactError:
    return ArtifactError(f"{artifact.name}/{artifact.version}: self-test: {sentence}")
