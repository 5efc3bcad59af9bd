"""What pretraining tells a person: the history as it was read, the held-out errors, the verdict."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from model.features import Category, Date, Number
from service.admission import Admission
from service.held_out import METHODS, PROFILE, RIDGE, Cell, ratio
from service.history_sums import HistoryRead

ONLY_SUMS = (
    "The rows were given as sums: the errors are of rows drawn with these sums and Gaussian noise, "
    "an order in time is not known, and intervals are not calibrated."
)


def read_lines(read: HistoryRead, target: str) -> Iterator[str]:
    """Yield what was read: rows, groups, and what each column became."""
    width = sum(len(source.columns()) for source in read.sources)
    groups = len(read.history.groups)
    yield f"read      {read.used_row_count:,} rows, {groups:,} groups, {width} features of {target}"
    numbers = [source.name for source in read.sources if isinstance(source, Number)]
    if numbers:
        yield f"numbers   {', '.join(numbers)}"
    for source in read.sources:
        if isinstance(source, Category):
            rest = f"'{source.base}'" if source.base is not None else "anything else"
            yield f"category  {source.name}: {', '.join(source.levels)}; all 0 is {rest}"
        elif isinstance(source, Date):
            cycles = "".join(f", place in the {cycle}" for cycle in source.cycles)
            yield f"date      {source.name}: days since {source.origin}{cycles}"
    for name, share in read.missing.items():
        if share:
            source = next(source for source in read.sources if source.name == name)
            is_category = isinstance(source, Category)
            how = "counted as anything else" if is_category else "filled with its group's mean"
            yield f"missing   {name}: {share:.1%} of the rows, {how}"
    for notice in read.notices:
        yield f"notice    {notice}"


def table(cells: Sequence[Cell], seed: int) -> Table:
    """Return the held-out errors as a table, the smallest of a row in bold."""
    groups = len(set().union(*(cell.group.tolist() for cell in cells)))
    shown = Table(
        title=f"error on {groups} groups not seen: median RMSE ÷ sd of the prompt's labels",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    methods = [name for name in METHODS if any(name in cell.error for cell in cells)]
    for heading in ("examples", *methods, f"{PROFILE} /\n{RIDGE}", "95 %\ninterval"):
        shown.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    for cell in cells:
        medians = {name: cell.median(name) for name in methods}
        best = min(medians, key=medians.__getitem__)
        texts = [f"[bold]{v:.3f}[/]" if n == best else f"{v:.3f}" for n, v in medians.items()]
        ours, low, high = ratio([cell], PROFILE, RIDGE, seed)
        interval = f"{low:.2f}–{high:.2f}"
        shown.add_row(str(cell.example_count), *texts, f"{ours:.2f}", interval)
    return shown


def verdict_lines(
    admission: Admission, group_count: int, is_simulated: bool, unwatched: str = ""
) -> Iterator[str]:
    """Yield what the profile is good for and what to keep in mind."""
    yield admission.sentence
    if is_simulated:
        yield ONLY_SUMS
    if admission.state == "provisional" and not admission.refusal:
        yield f"Provisional: it has seen {group_count} groups only; from 8 on it counts as healthy."
    if unwatched:
        yield f"Not yet watched for shift: {unwatched}. Its first prompts will be the reference."
