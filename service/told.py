"""The numbers of a window as a verdict reads them, and all that was found as a report keeps it."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.checkpoint import Artifact
from monitoring.causes import Causes
from monitoring.levels import CLIP
from monitoring.limits import Limits
from monitoring.paired import Bounds
from monitoring.signature import UNKNOWN, Ratios, signature
from monitoring.snapshot import FeatureMove, Level
from monitoring.state import State
from monitoring.verdict import Judged
from service.compared import Compared
from service.findings import (
    BoundsTold,
    CandidateName,
    CandidateTold,
    FeatureTold,
    Findings,
    LevelTold,
    Window,
)
from service.verdict_words import Facts, words

KINDS: Mapping[Mode, Literal["paper", "foundation", "profile"]] = {
    Mode.PAPER: "paper",
    Mode.FOUNDATION: "foundation",
    Mode.PROFILE: "profile",
}
NO_LEVEL = Level(UNKNOWN, UNKNOWN, UNKNOWN, 0)
RATIOS = ("ridge", "label_power", "best", "length_effect")
FEATURES_TOLD = 32
HARMFUL_SHARE = 0.1  # of the harm, from where a feature is named in a sentence


class Looked(NamedTuple):
    """What a window shows against its reference."""

    levels: dict[str, Level]
    means: dict[str, float]
    causes: Causes
    clipped_groups: int | None  # sources of prompts at the clip; None where few sources are known
    typical: float  # mean error over normal of the prompts that are not at the clip

    @property
    def h(self) -> Level:
        """The expected error."""
        return self.levels.get("h", NO_LEVEL)

    @property
    def loo(self) -> Level:
        """The leave-one-out error."""
        return self.levels.get("loo", NO_LEVEL)


def typical_error(state: State, clip_means: NDArray[np.float64]) -> float:
    """Return the mean clipped error over normal of prompts below the clip, the worse channel's.

    clip_means (2,) is κ of the reference.
    """
    totals = [
        sum(getattr(part, name) for part in state.parts)
        for name in ("inflation", "clipped", "channel_prompts")
    ]  # (2,) each
    inflation, clipped, count = (np.asarray(total, np.float64) for total in totals)
    rest = count - clipped  # (2,)
    known = rest > 0.0  # (2,)
    if not known.any():
        return UNKNOWN
    means = (inflation - clipped * CLIP / clip_means)[known] / rest[known]
    return float(means.max())


class Alternatives(NamedTuple):
    """Which versions were tried beside the served one, and what came of it."""

    served: Bounds | None  # error on kept prompts over normal; None where there are none
    compared: Mapping[str, Compared]  # by name; empty where sums alone are known
    by_sums: tuple[CandidateName, ...]  # made, but not compared
    expected_gain: float
    regret: float
    candidate: str  # which one is ready; empty where none is


def ratios_of(looked: Looked, risen: float) -> Ratios:
    """Return what the signature is read from; tails lift h, clipped, above `risen`."""
    best = looked.means["best"]
    return Ratios(
        h=looked.h.gate,
        loo=looked.loo.gate,
        ridge=looked.means["ridge"],
        label_power=looked.means["label_power"],
        length_effect=looked.means["length_effect"],
        clipped_share=looked.means["at_clip"],
        clipped_groups=looked.clipped_groups,
        has_heavy_tails=looked.causes.kind == "tail" and looked.h.clipped_mean > risen,
        best_error=looked.h.clipped_mean / best if best > 0.0 else UNKNOWN,
        explained=looked.causes.explained,
        tail_share=looked.means["tail_share"],
        typical=looked.typical,
        has_short_prompts=looked.causes.kind == "context_length",
    )


def findings_of(
    artifact: Artifact,
    state: State,
    window: Window,
    looked: Looked,
    judged: Judged,
    tried: Alternatives,
    limits: Limits,
) -> Findings:
    """Return what was found, words and all."""
    features = _features(artifact, looked.causes.features)
    sentence, advice = words(judged, _facts(looked, tried, window, limits, features))
    ratios = {name: _known(looked.means[name]) for name in RATIOS}
    return Findings(
        model=artifact.name,
        model_version=artifact.version,
        kind=KINDS[artifact.model.mode],
        reference=state.reference,
        window=window,
        levels={name: _level(one) for name, one in looked.levels.items() if one.gate == one.gate},
        ratios=ratios | {"clipped_share": _known(looked.means["at_clip"])},
        signature=signature(ratios_of(looked, limits.risen), limits).name,
        shift_kind=looked.causes.kind,
        features=features,
        regret=_known(tried.regret),
        candidates=tuple(_candidates(looked, tried)),
        verdict=judged.verdict.value,
        reason=judged.reason.value,
        step=judged.step,
        sentence=sentence,
        advice=advice,
    )


def _facts(
    looked: Looked,
    tried: Alternatives,
    window: Window,
    limits: Limits,
    features: tuple[FeatureTold, ...],
) -> Facts:
    ready = tried.compared.get(tried.candidate)
    errors = [level.mean for level in looked.levels.values() if level.mean == level.mean]
    harmful = [one.name for one in features if (one.share or 0.0) >= HARMFUL_SHARE]
    return Facts(
        prompt_count=window.prompt_count,
        prompts_min=limits.prompts_min,
        error=max(errors, default=UNKNOWN),
        ridge=looked.means["ridge"],
        label_power=looked.means["label_power"],
        clipped_share=looked.means["at_clip"],
        shift_kind=looked.causes.kind,
        features=tuple(harmful),
        candidate=tried.candidate,
        gain=None if ready is None else ready.gain,
        expected_gain=tried.expected_gain,
    )


def _candidates(looked: Looked, tried: Alternatives) -> list[CandidateTold]:
    """Return the served version first, then those that were tried."""
    if not tried.compared:
        loo = looked.loo
        upper = 2.0 * loo.clipped_mean - loo.gate
        error = _bounds(Bounds(loo.clipped_mean, loo.gate, upper))
        count = loo.prompt_count
        served = CandidateTold(
            name="served", error=error, gain=None, evidence="sums", prompt_count=count
        )
        return [served, *(_by_sums(name, count) for name in tried.by_sums)]
    count = max(one.prompt_count for one in tried.compared.values())
    own = None if tried.served is None else _bounds(tried.served)
    found = [
        CandidateTold(name="served", error=own, gain=None, evidence="reservoir", prompt_count=count)
    ]
    return found + [
        CandidateTold.model_validate(
            {
                **{"name": name, "error": _bounds(one.error), "gain": _bounds(one.gain)},
                **{"evidence": "reservoir", "prompt_count": one.prompt_count},
            }
        )
        for name, one in tried.compared.items()
    ]


def _by_sums(name: CandidateName, prompt_count: int) -> CandidateTold:
    return CandidateTold(
        name=name, error=None, gain=None, evidence="sums", prompt_count=prompt_count
    )


def _level(level: Level) -> LevelTold:
    return LevelTold(mean=level.mean, lower=level.gate, prompt_count=level.prompt_count)


def _bounds(bounds: Bounds) -> BoundsTold | None:
    if not all(math.isfinite(one) for one in bounds):
        return None
    return BoundsTold(mean=bounds.mean, lower=bounds.lower, upper=bounds.upper)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _features(artifact: Artifact, moves: tuple[FeatureMove, ...]) -> tuple[FeatureTold, ...]:
    """Return what features did, the most harmful first; unnamed ones by their place."""
    columns, found = artifact.schema.columns, []
    for move in moves[:FEATURES_TOLD]:
        told = move.mean, move.deviation, move.reference_mean, move.reference_deviation
        if all(math.isfinite(one) for one in told):
            column = columns[move.place] if move.place < len(columns) else None
            found.append(
                FeatureTold(
                    name=f"feature {move.place}" if column is None else column.name,
                    unit="" if column is None else column.unit,
                    share=_known(move.harm_share),
                    window_mean=move.mean,
                    window_deviation=move.deviation,
                    reference_mean=move.reference_mean,
                    reference_deviation=move.reference_deviation,
                )
            )
    return tuple(found)
