"""What a replay found: in sentences, as a table for the terminal, as JSON. All from its numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from service import __version__
from service.replay import LABEL, METHODS, QUERY_COUNT, RIDGE, SONOBA, Score

HEADINGS = ("examples", *METHODS, f"{SONOBA} / {RIDGE}", "95% interval", "prompts/s")


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of one replay, and what produced them."""

    scores: tuple[Score, ...]
    model: str
    model_version: str
    seed: int

    def rows(self) -> list[list[str]]:
        """Return a row of texts for every number of examples, under `HEADINGS`."""
        return [
            [
                str(score.example_count),
                *(f"{score.median_nrmse[name]:.3f}" for name in METHODS),
                f"{score.ratio:.3f}",
                f"{score.low:.3f}–{score.high:.3f}",
                f"{score.prompts_per_second:,.0f}",
            ]
            for score in self.scores
        ]

    def best(self) -> list[int]:
        """Return, for every row, the column of `HEADINGS` with the smallest error."""
        medians = [score.median_nrmse for score in self.scores]
        return [1 + METHODS.index(min(METHODS, key=each.__getitem__)) for each in medians]

    def table(self) -> Table:
        """Return the rows as a table for the terminal, the smallest error of a row in bold."""
        title = f"median error (NRMSE) of {self.model} {self.model_version} beside per-prompt fits"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in HEADINGS:
            broken = heading.replace(" ", "\n", 1)  # two lines, so that 80 columns are enough
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
            "query_count": QUERY_COUNT,
            "label": LABEL,
            "scores": [asdict(score) for score in self.scores],
            "findings": findings(self.scores),
        }


def findings(scores: Sequence[Score]) -> list[str]:
    """Return what the numbers say, in sentences.

    A difference is called one only where the interval of the ratio leaves out 1.
    """
    below = [score for score in scores if score.high < 1.0]
    above = [score for score in scores if score.low > 1.0]
    alike = [score for score in scores if score.low <= 1.0 <= score.high]
    sentences = []
    if below:
        sentences.append(
            f"With {_sizes(below)} examples {SONOBA}'s median error is smaller than {RIDGE}'s, "
            f"by {_percents(below)}."
        )
    if above:
        sentences.append(
            f"With {_sizes(above)} examples {SONOBA}'s median error is larger than {RIDGE}'s, "
            f"by {_percents(above)}."
        )
    if alike:
        sentences.append(
            f"With {_sizes(alike)} examples {SONOBA} and {RIDGE} cannot be told apart: the "
            "95 % interval of the ratio of their errors includes 1."
        )
    last = scores[-1]
    sentences.append(
        f"An error of 1 is as large as the spread of a prompt's labels; with {last.example_count} "
        f"examples {SONOBA} is at {last.median_nrmse[SONOBA]:.2f}."
    )
    return sentences


def _sizes(scores: Sequence[Score]) -> str:
    return _listed([str(score.example_count) for score in scores])


def _percents(scores: Sequence[Score]) -> str:
    return _listed([f"{abs(1.0 - score.ratio):.1%}".replace("%", " %") for score in scores])


def _listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them.

    >>> _listed(["8", "16", "32"])
    '8, 16 and 32'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
