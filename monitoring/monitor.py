"""One model's monitor: collects a reference where there is none, then watches against it.

One thread feeds it, others read. No row, label or query outlives the call but while a model
without a reference collects its first prompts (`monitoring.warmup`).
"""

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitoring.baseline import PROMPTS_MIN, ROWS_PER_ALARM
from monitoring.causes import Causes
from monitoring.gate import Inflated, Window, clipped
from monitoring.levels import WINDOW_PROMPTS
from monitoring.observation import Observations, observe
from monitoring.reference import Reference
from monitoring.signature import UNKNOWN, Ratios, signature
from monitoring.snapshot import CHANNELS, Level, Snapshot
from monitoring.state import State
from monitoring.warmup import Warmup
from monitoring.watch import Seen, Summary, Watch

Array = NDArray[np.float64]

RIDGE_EVERY = 8
EXAMPLES_MIN = 2  # about the prompt's mean where it is taken out
REASONS = (
    "not_finite",
    "few_examples",
    "other_mode",
    "duplicate",
    "over_budget",
    "queue_full",
    "schema",
    "tenant_share",
)
NO_LEVEL = Level(UNKNOWN, UNKNOWN, UNKNOWN, 0)


class Monitor:
    """Watches one version of one model of some kind (paper, foundation, profile)."""

    def __init__(
        self,
        model: str,
        version: str,
        kind: str,
        reference: Reference | None = None,
        prompts_min: int = PROMPTS_MIN,
        window_prompts: int = WINDOW_PROMPTS,
        rows_per_alarm: int = ROWS_PER_ALARM,
    ) -> None:
        self.model, self.version, self.kind = model, version, kind
        self.lock = threading.Lock()
        self._skip_lock = threading.Lock()  # its own: who answers a prompt never waits for the rest
        self.watch = None if reference is None else Watch(reference)
        self.skipped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._warmup = Warmup(kind, prompts_min, window_prompts, rows_per_alarm)
        self._early = Window(1, window_prompts)  # LOO over ridge while there is no reference
        self._prompt_count = self._row_count = 0
        self._updated_seconds = 0.0

    @property
    def reference_id(self) -> str:
        """Id of what prompts are compared with; empty while there is none."""
        watch = self.watch
        return "" if watch is None else watch.reference.id

    def skip(self, reason: str, count: int = 1) -> None:
        """Count prompts that are left out, for one of REASONS."""
        with self._skip_lock:
            self.skipped[reason] += count

    def observe(self, seen: Seen) -> None:
        """Take prompts of one shape; those that are not finite or of another width are skipped."""
        known, served = self.watch, seen.served
        if served.count - served.centred < EXAMPLES_MIN:
            return self.skip("few_examples", len(served.gram))
        if known is not None and seen.feature_count != known.reference.feature_count:
            return self.skip("schema", len(served.gram))
        observed = observe(served, ridge_every=1 if known is None else RIDGE_EVERY)
        finite = _finite(observed, served.rows is not None)  # (B,)
        if not finite.all():
            self.skip("not_finite", int((~finite).sum()))
            seen, observed = seen.take(np.flatnonzero(finite)), observed.take(finite)
        if not len(observed.counts):
            return None
        with self.lock:
            self._prompt_count += len(observed.counts)
            self._row_count += int(observed.counts.sum())
            self._updated_seconds = time.time()
            if known is not None:
                known.observe(seen, observed)
        if known is None:
            self._collect(seen, observed)

    def _collect(self, seen: Seen, observed: Observations) -> None:
        """Add prompts to those a reference may be made of; a summary has no rows to keep."""
        if isinstance(seen.covariates, Summary):
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (observed.loo / observed.ridge)[:, None]  # (B, 1)
        nothing = np.full_like(ratio, np.nan)  # (B, 1)
        both = np.hstack([nothing, ratio])  # (B, 2)
        with self.lock:
            self._early.add(Inflated(clipped(both), both, np.empty((len(both), 0))), 100)
        reference = self._warmup.add(observed, seen.served, seen.covariates)
        if reference is not None:
            with self.lock:
                self.watch = Watch(reference)

    def diagnosed(self) -> Snapshot:
        """Return what is known now, with what moved and why: it may take a tenth of a second."""
        found = self.snapshot()
        with self.lock:
            watch = self.watch
            if watch is None or found.is_warming:
                return found
            causes, means = watch.recent.causes(), watch.window_means()
        return replace(
            found,
            direction_shares=causes.direction_shares,
            features=causes.features,
            kind=causes.kind,
            signature=signature(_ratios(found, means, causes)).name,
        )

    def state(self, prompt_count: int = 0, age_seconds: float = 0.0) -> State | None:
        """Return sums over the newest prompts; None where there are fewer than 20.

        The newest whole blocks that hold prompt_count (0: all that are kept), of those that did
        not begin longer ago than age_seconds (0: no bound).
        """
        with self.lock:
            watch = self.watch
            return None if watch is None else watch.recent.state(prompt_count, age_seconds)

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        with self._skip_lock:
            skipped = dict(self.skipped)
        with self.lock:
            watch = self.watch
            levels = self._early.levels() if watch is None else watch.levels()
            means = {} if watch is None else watch.window_means()
            channels = {} if watch is None else watch.combo.channels
            return Snapshot(
                model=self.model,
                version=self.version,
                reference=self.reference_id,
                is_warming=watch is None or not levels,
                prompt_count=self._prompt_count,
                row_count=self._row_count,
                levels=levels,
                loo_ratio=levels.get("loo", NO_LEVEL).mean,
                ridge_ratio=means.get("ridge", UNKNOWN),
                label_power_ratio=means.get("label_power", UNKNOWN),
                length_effect=means.get("length_effect", UNKNOWN),
                clipped_share=means.get("at_clip", UNKNOWN),
                info_score=max(channels.values(), default=UNKNOWN),
                info_channels=channels,
                skipped=skipped,
                last_update_seconds=self._updated_seconds,
            )


def _ratios(found: Snapshot, means: dict[str, float], causes: Causes) -> Ratios:
    """Return what the signature is read from."""
    h, loo = (found.levels.get(channel, NO_LEVEL) for channel in CHANNELS)
    return Ratios(
        h=h.gate,
        loo=loo.gate,
        ridge=found.ridge_ratio,
        label_power=found.label_power_ratio,
        length_effect=found.length_effect,
        clipped_share=found.clipped_share,
        has_heavy_tails=causes.kind == "tail",
        best_error=h.clipped_mean / means["best"] if means.get("best") else UNKNOWN,
        explained=causes.explained,
    )


def _finite(observed: Observations, has_rows: bool) -> NDArray[np.bool_]:
    """Return which prompts (B,) have finite errors; a summary has no leave-one-out."""
    finite = np.isfinite(observed.predicted) & np.isfinite(observed.query_signal)
    if has_rows:
        finite &= np.isfinite(observed.loo) & np.isfinite(observed.label_power)
    known: NDArray[np.bool_] = finite
    return known
