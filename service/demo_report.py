"""What a replay found: in sentences, as a table for the terminal, as JSON. All from its numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from service import __version__
from service.demo_loop import Mended
from service.demo_shift import ANSWERS, Act
from service.held_out import BOOSTING, PROFILE, RIDGE
from service.replay import LABEL, QUERY_COUNT, Score

LOOP_HEADINGS = ("prompts", "error", "page", "version")
UNMEASURED = (
    "Pooled gradient boosting, which needs scikit-learn and was left out, is known to err less "
    "than all methods shown: these labels do not follow the features linearly."
)


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of one replay, and what produced them.

    `weeks` are the first and the last that were replayed; what came before is history.
    """

    scores: tuple[Score, ...]
    model: str
    model_version: str
    seed: int
    weeks: tuple[int, int]
    act: Act | None = None
    mended: Mended | None = None
    reports: Path = Path("reports")

    def headings(self) -> list[str]:
        """Return the headings of `rows`."""
        return ["examples", *self.methods(), f"{self.lead()} / {RIDGE}", "95% interval"]

    def rows(self) -> list[list[str]]:
        """Return a row of texts for every number of examples."""
        return [
            [
                str(score.example_count),
                *(f"{score.median_nrmse[name]:.3f}" for name in self.methods()),
                f"{score.ratios[self.lead()].value:.3f}",
                f"{score.ratios[self.lead()].low:.3f}–{score.ratios[self.lead()].high:.3f}",
            ]
            for score in self.scores
        ]

    def methods(self) -> list[str]:
        """Return what was compared, the served models first."""
        return list(self.scores[0].median_nrmse)

    def lead(self) -> str:
        """Return the served model that the replay is about."""
        return next(iter(self.scores[0].ratios))

    def best(self) -> list[int]:
        """Return, for every row, the column with the smallest error."""
        methods = self.methods()
        medians = [score.median_nrmse for score in self.scores]
        return [1 + methods.index(min(methods, key=each.__getitem__)) for each in medians]

    def table(self) -> Table:
        """Return the rows as a table for the terminal, the smallest error of a row in bold."""
        title = f"median error (NRMSE) of {self.model} {self.model_version} beside other methods"
        table = Table(
            title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
        )
        for heading in self.headings():
            broken = "\n".join(heading.rsplit(" ", 1))  # so that 80 columns are enough
            table.add_column(broken, justify="right", no_wrap=True, vertical="bottom")
        for row, best in zip(self.rows(), self.best(), strict=True):
            table.add_row(*(f"[bold]{t}[/]" if i == best else t for i, t in enumerate(row)))
        return table

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "sonoba": __version__,
            "model": self.model,
            "model_version": self.model_version,
            "seed": self.seed,
            "replayed_weeks": self.weeks,
            "query_count": QUERY_COUNT,
            "label": LABEL,
            "scores": [asdict(score) for score in self.scores],
            "findings": self.findings(),
            "last_act": self.act._asdict() if self.act else None,
            "mended": self.mended._asdict() if self.mended else None,
            "loop": self.loop(),
        }

    def findings(self) -> list[str]:
        """Return what the numbers say, in sentences."""
        first, last = self.weeks
        replayed = f"The prompts are of weeks {first} to {last}"
        found = [f"{replayed}; what the server's model has learnt from is not known here."]
        if self.lead() == PROFILE:
            found = [
                f"{replayed}; the profile learnt from weeks 0 to {first - 1} and none of these."
            ]
        for name in self.scores[0].ratios:
            found += against_ridge(self.scores, name)
        end = self.scores[-1]
        found.append(
            f"An error of 1 is as large as the spread of a prompt's labels; with "
            f"{end.example_count} examples {self.lead()} is at {end.median_nrmse[self.lead()]:.2f}."
        )
        if self.lead() == PROFILE:
            found.append(against_boosting(self.scores))
        speeds = [score.prompts_per_second for score in self.scores]
        found.append(f"The server answered {min(speeds):,.0f} to {max(speeds):,.0f} prompts/s.")
        found += self.act.findings() if self.act else []
        return found + (self.mended.findings(self.reports) if self.mended else [])

    def loop(self) -> list[list[str]]:
        """Return the rows of the last act: when, error by the labels, the page's word, version."""
        if not self.act:
            return []
        before, after = self.act.before, self.act.after
        rows = [
            ["before", "1.00", ANSWERS[before["answer"]], self.model_version],
            [
                "clock in UTC",
                f"{self.act.real_ratio:.2f}",
                ANSWERS[after["answer"]],
                self.model_version,
            ],
        ]
        if self.mended:
            found = self.mended
            error = f"{found.real_ratio:.2f}" if found.is_mended else "–"
            rows.append(["re-evaluated", error, ANSWERS[found.after["answer"]], found.versions[1]])
        return rows

    def loop_table(self) -> Table:
        """Return these rows for the terminal."""
        title = "the last act: squared error by the labels, before = 1"
        table = Table(
            title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
        )
        for heading in LOOP_HEADINGS:
            table.add_column(heading, no_wrap=True)
        for row in self.loop():
            table.add_row(*row)
        return table


def against_ridge(scores: Sequence[Score], name: str) -> list[str]:
    """Return what a served model's numbers say beside ridge-CV's.

    A difference is called one only where the interval of the ratio leaves out 1.
    """
    below = [score for score in scores if score.ratios[name].high < 1.0]
    above = [score for score in scores if score.ratios[name].low > 1.0]
    alike = [score for score in scores if score not in below and score not in above]
    sentences = []
    for some, kind in ((below, "smaller"), (above, "larger")):
        if some:
            sentences.append(
                f"With {_sizes(some)} examples the median error of {name} is {kind} than that of "
                f"{RIDGE}, by {_percents(some, name)}."
            )
    if alike:
        sentences.append(
            f"With {_sizes(alike)} examples {name} and {RIDGE} cannot be told apart: the "
            "95 % interval of the ratio of their errors includes 1."
        )
    return sentences


def against_boosting(scores: Sequence[Score]) -> str:
    """Return what gradient boosting of the same history would have given; it is not linear."""
    if BOOSTING not in scores[0].median_nrmse:
        return UNMEASURED
    fitted = "Pooled gradient boosting, fitted to the same history,"
    ahead = [score for score in scores if min(score.median_nrmse.values()) == _boosted(score)]
    if not ahead:
        return f"{fitted} errs least at no number of examples."
    errors = _listed([f"{_boosted(score):.2f}" for score in ahead])
    return (
        f"{fitted} errs less than every method here with {_sizes(ahead)} examples, at {errors}: "
        "the labels do not follow the features linearly, and the models served are linear."
    )


def _boosted(score: Score) -> float:
    return score.median_nrmse[BOOSTING]


def _sizes(scores: Sequence[Score]) -> str:
    return _listed([str(score.example_count) for score in scores])


def _percents(scores: Sequence[Score], name: str) -> str:
    shares = [abs(1.0 - score.ratios[name].value) for score in scores]
    return _listed([f"{share:.1%}".replace("%", " %") for share in shares])


def _listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them.

    >>> _listed(["8", "16", "32"])
    '8, 16 and 32'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
