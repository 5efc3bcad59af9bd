"""`python -m bench.recalibration`: what sums can repair, on real groups whose covariates moved.

A profile of a set's history answers prompts of groups it has not seen. Their features then change:
twice the spread, turned at random, one column mirrored, all means half a deviation up; of the bikes
also a clock in UTC, and one that lost AM and PM, which nothing can repair. Half of those groups
send n prompts, whose sums recalibrate the profile; the others' queries judge. Beside it: the
profile pretrained again from the same prompts' rows, and `foundation`. OPENBLAS_NUM_THREADS=1.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.data_sets import SHIPPED, DataSet, read_sets
from bench.tables import titled
from model.checkpoint import FOUNDATION_FILE, load
from model.foundation import FoundationModel
from model.history import Group, History, Prompts, draw
from model.profile import ProfileModel
from model.profile_fit import fit
from model.profile_parameters import ProfileParameters
from model.profile_support import held_out_folds
from model.prompt import Block, Examples
from model.recalibrate import recalibrated_profile
from monitoring.baseline import Unfit
from monitoring.reference import Reference
from service.reference_fit import profile_reference
from service.windows import evidence_of, windows_of

Array = NDArray[np.float64]
Change = Callable[[Array], Array]  # of rows (..., d)

LENGTHS = (32, 16, 8)  # the first that groups of both halves are long enough for
TEST_PROMPTS = 600
COUNTS = (128, 256, 512)
REPAIRABLE = ("scale x2", "rotation", "mirrored", "UTC clock")
MOST, AT = 1.25, 256
"""What the error of a profile recalibrated from sums of so many prompts may be, over the error that
the same prompts had before they changed; on the bikes, for the shifts that can be repaired."""


@dataclass(frozen=True, slots=True)
class Row:
    """Mean squared errors of one shift over the unshifted one of the same prompts."""

    name: str
    shift: str
    refused: float  # share of shifted prompts that the served profile refuses
    served: float
    recalibrated: dict[int, float]  # by prompts
    repretrained: dict[int, float]
    foundation: float


class _Trained:
    """A profile of the history of a set, and the groups it has not seen: to send, and to judge."""

    def __init__(self, data: DataSet, seed: int) -> None:
        self.data, self.seed = data, seed
        known = data.rows[np.isin(data.rows[:, 0], data.known)]
        history = History(tuple(_groups(known)), data.is_ordered)
        self.parameters = fit(history, seed=seed)
        folds = held_out_folds(history, self.parameters, seed)
        self.reference: Reference = profile_reference(folds, seed)
        self.mean, self.deviation = known[:, 1:-1].mean(axis=0), known[:, 1:-1].std(axis=0)
        unseen = data.unseen()
        half = len(unseen.groups) // 2
        order = np.random.default_rng(seed).permutation(len(unseen.groups))
        if data.name == SHIPPED.stem:
            order = np.arange(len(unseen.groups))  # weeks, the earlier ones send
        self.sending = unseen.chosen(order[:half].tolist())
        self.judging = unseen.chosen(order[half:].tolist())
        both = self.sending, self.judging
        fits = [M for M in LENGTHS if all(len(one.long_enough(M)) > 1 for one in both)]
        if not fits:
            raise Unfit("expected groups long enough to send and to judge, got too few")
        self.length = fits[0]

    def served(self, parameters: ProfileParameters) -> ProfileModel:
        """Return a profile that hands on what it refuses."""
        shipped = load(FOUNDATION_FILE).model
        assert isinstance(shipped, FoundationModel)
        return ProfileModel(parameters, fallback=shipped)

    def sent(self, count: int, change: Change) -> list[Block]:
        """Return prompts of the sending groups that the profile answers, one by one."""
        prompts = draw(self.sending, self.length, count, self.seed + 1)
        block = _changed(prompts, change)
        own = np.frombuffer(self.served(self.parameters).answer(block).modes, np.uint8)
        assert isinstance(block.context, Examples)
        x, y = block.context
        chosen = np.flatnonzero(own == ProfileModel.mode)
        return [Block(Examples(x[[i]], y[[i]]), block.queries[[i]]) for i in chosen]


def measure(data: DataSet, seeds: int, counts: tuple[int, ...]) -> list[Row]:
    """Return the rows of one set; raise `Unfit` where its profile has no reference."""
    found: dict[str, list[Row]] = {}
    for seed in range(seeds):
        trained = _Trained(data, seed)
        judged = draw(trained.judging, trained.length, TEST_PROMPTS, seed + 2)
        usual = _error(trained.served(trained.parameters), judged, _same)
        for shift, change in shifts(trained.mean, trained.deviation, data, seed).items():
            row = _row(trained, judged, usual, (shift, change), counts)
            found.setdefault(shift, []).append(row)
    return [_mean(rows) for rows in found.values()]


def _row(
    trained: _Trained,
    judged: Prompts,
    usual: float,
    shift: tuple[str, Change],
    counts: tuple[int, ...],
) -> Row:
    name, change = shift
    recalibrated: dict[int, float] = {}
    repretrained: dict[int, float] = {}
    sent = trained.sent(max(counts), change)
    for count in counts:
        some = sent[:count]
        model = ProfileModel(trained.parameters)
        parts = evidence_of(model, [_stacked(some)], trained.reference) if some else ()
        windows = windows_of(parts, trained.reference)
        learnt = recalibrated_profile(trained.parameters, windows) if windows else None
        again = _fitted(trained, some)
        for kept, made in ((recalibrated, learnt), (repretrained, again)):
            known = made is not None and made.buckets
            kept[count] = (
                _error(trained.served(made), judged, change) / usual
                if made is not None and known
                else float("nan")
            )
    served = _error(trained.served(trained.parameters), judged, change) / usual
    shipped = load(FOUNDATION_FILE).model
    assert isinstance(shipped, FoundationModel)
    refused = 1.0 - len(sent) / max(counts)
    foundation = _error(shipped, judged, change) / usual
    return Row(trained.data.name, name, refused, served, recalibrated, repretrained, foundation)


def _fitted(trained: _Trained, blocks: list[Block]) -> ProfileParameters | None:
    """Return a profile pretrained again from prompts' rows, each prompt a group."""
    groups = []
    for place, block in enumerate(blocks):
        assert isinstance(block.context, Examples)
        groups.append(Group(str(place), block.context.x[0], block.context.y[0]))
    if not groups:
        return None
    coordinates = trained.parameters.buckets[-1].coordinates
    return fit(History(tuple(groups), False), seed=trained.seed, coordinates=coordinates)


def _same(x: Array) -> Array:
    return x


def shifts(mean: Array, deviation: Array, data: DataSet, seed: int) -> dict[str, Change]:
    """Return what becomes of features (..., d) with such means and deviations, by name."""
    d = len(mean)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]  # (d, d)
    unit = np.where(deviation > 0.0, deviation, 1.0)  # (d,)
    column = min(5, d - 1)  # of the bikes the sine of the hour, symmetric about 0
    sign = np.where(np.arange(d) == column, -1.0, 1.0)  # (d,)
    found: dict[str, Change] = {
        "none": _same,
        "scale x2": lambda x: mean + 2.0 * (x - mean),
        "rotation": lambda x: mean + ((x - mean) / unit @ turn) * unit,
        "mirrored": lambda x: mean + sign * (x - mean),
        "mean +.5": lambda x: x + 0.5 * deviation,
    }
    if data.name == SHIPPED.stem:
        features = data.header[1:-1]
        found["UTC clock"] = lambda x: turned_clock(x, features, 5)
        found["lost noon"] = lambda x: lost_noon(x, features)
    return found


def turned_clock(x: Array, features: list[str], hours: int) -> Array:
    """Return rows (..., d) whose clock is some hours ahead; hours are sines and cosines."""
    changed = x.copy()
    for sine, cosine, turns in (("h_sin", "h_cos", 1), ("h2_sin", "h2_cos", 2)):
        i, j = features.index(sine), features.index(cosine)
        angle = 2.0 * np.pi * turns * hours / 24.0
        changed[..., i] = x[..., i] * np.cos(angle) + x[..., j] * np.sin(angle)
        changed[..., j] = x[..., j] * np.cos(angle) - x[..., i] * np.sin(angle)
    return changed


def lost_noon(x: Array, features: list[str]) -> Array:
    """Return rows (..., d) whose hours after noon are twelve less: two hours become one."""
    changed = x.copy()
    sine, cosine = features.index("h_sin"), features.index("h_cos")
    at_noon = (np.abs(x[..., sine]) < 1e-9) & (x[..., cosine] < 0.0)
    late = (x[..., sine] < -1e-9) | at_noon
    changed[..., sine] = np.where(late, -x[..., sine], x[..., sine])
    changed[..., cosine] = np.where(late, -x[..., cosine], x[..., cosine])
    return changed


def _groups(rows: Array) -> Iterator[Group]:
    for group in np.unique(rows[:, 0]):
        own = rows[rows[:, 0] == group]  # (n, d + 2)
        yield Group(f"{group:g}", own[:, 1:-1], own[:, -1])


def _changed(prompts: Prompts, change: Change) -> Block:
    return Block(Examples(change(prompts.x), prompts.y), change(prompts.queries))


def _stacked(blocks: list[Block]) -> Block:
    contexts = [block.context for block in blocks if isinstance(block.context, Examples)]
    x, y = (np.concatenate(part) for part in zip(*contexts, strict=True))
    return Block(Examples(x, y), np.concatenate([block.queries for block in blocks]))


def _error(model: ProfileModel | FoundationModel, prompts: Prompts, change: Change) -> float:
    """Return the mean squared error over queries, natural units."""
    answers = model.answer(_changed(prompts, change)).predictions  # (P, Q)
    wrong = np.where(np.isfinite(answers), answers, 0.0) - prompts.targets  # (P, Q)
    return float(np.average(wrong * wrong, weights=prompts.weight))


def _mean(rows: list[Row]) -> Row:
    """Return the means over seeds; of ratios, geometric ones."""

    def over(values: list[float]) -> float:
        return float(np.exp(np.log(values).mean()))

    first, counts = rows[0], rows[0].recalibrated
    return Row(
        first.name,
        first.shift,
        float(np.mean([row.refused for row in rows])),
        over([row.served for row in rows]),
        {count: over([row.recalibrated[count] for row in rows]) for count in counts},
        {count: over([row.repretrained[count] for row in rows]) for count in counts},
        over([row.foundation for row in rows]),
    )


def missed(rows: list[Row]) -> list[str]:
    """Return which promises are not kept."""
    return [
        f"{row.name}, {row.shift}: {row.recalibrated[AT]:.2f} of the unshifted (at most {MOST})"
        for row in rows
        if row.name == SHIPPED.stem and row.shift in REPAIRABLE and not row.recalibrated[AT] <= MOST
    ]


def table(rows: list[Row]) -> Table:
    """Return the errors over the unshifted ones."""
    counts = list(rows[0].recalibrated)
    made = titled(
        "Mean squared error over that of the same prompts unshifted",
        *("set, shift", "refused", "served", "foundation"),
        *(f"from sums of {count}" for count in counts),
        *(f"from rows of {count}" for count in counts),
    )
    for row in rows:
        numbers = row.served, row.foundation, *row.recalibrated.values()
        cells = [f"{value:.2f}" for value in (*numbers, *row.repretrained.values())]
        made.add_row(f"{row.name}, {row.shift}", f"{100.0 * row.refused:.0f} %", *cells)
    return made


@click.command()
@click.option("--seeds", default=3, help="Draws of prompts, turns and groups.")
@click.option("--set", "names", multiple=True, help="Only these.")
@click.option("--sets", type=click.Path(path_type=Path, exists=True), help="A folder of sets.")
@click.option("--gate", is_flag=True, help="Exit with 1 when a promise is not kept.")
def main(seeds: int, names: tuple[str, ...], sets: Path | None, gate: bool) -> None:
    """Measure what a recalibration from sums repairs; about five minutes."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows: list[Row] = []
    for data in read_sets(sets):
        if not names or data.name in names:
            try:
                rows += measure(data, seeds, COUNTS)
            except Unfit as error:
                console.print(f"{data.name}: no reference: {error}")
    if rows:
        console.print(table(rows))
    for sentence in missed(rows):
        console.print(sentence)
    if gate and missed(rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
