"""The report as a person reads it."""

from collections.abc import Iterator

from rich.table import Table

from bench.serving.answers import SHAPES_ALONE
from bench.serving.prompts import BATCH_PROMPTS
from bench.serving.report import Report
from bench.tables import held, titled

SPREAD = "median (low-high)"


def tables(report: Report) -> Iterator[Table]:
    """Yield the tables in the order they should be read, the gates last."""
    yield _floor(report)
    yield _batch(report)
    yield _watching(report)
    yield _kinds(report)
    yield _latency(report)
    yield _memory(report)
    yield _answers(report)
    yield held(report.gates())


def _floor(report: Report) -> Table:
    table = titled(
        f"The service against a bare grpcio echo of the same bytes, {SPREAD}",
        *("model, shape", "calls/s ÷ echo", "CPU, echo ÷ service"),
        *("calls/s", "echo", "µs CPU a call", "echo", "server busy", "generator busy"),
    )
    for row in report.floor:
        table.add_row(
            f"{row.model} {row.shape}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.service.rate.median:.0f}",
            f"{row.echo.rate.median:.0f}",
            f"{row.service.cpu_us.median:.0f}",
            f"{row.echo.cpu_us.median:.0f}",
            f"{row.service.server_share.median:.0%}, echo {row.echo.server_share.median:.0%}",
            f"{row.service.generator_share.median:.0%}, echo {row.echo.generator_share.median:.0%}",
        )
    return table


def _watching(report: Report) -> Table:
    table = titled(
        f"The service watched by its monitor against the same not watched, {SPREAD}",
        *("model, shape", "calls/s, watched ÷ not", "CPU, not ÷ watched"),
        *("calls/s", "not watched", "prompts watched a second"),
    )
    for row in report.watching:
        table.add_row(
            f"{row.model} {row.shape}, {row.form}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.watched.rate.median:.0f}",
            f"{row.unwatched.rate.median:.0f}",
            f"{row.watched_per_second:,.0f}",
        )
    return table


def _batch(report: Report) -> Table:
    table = titled(
        f"{BATCH_PROMPTS} prompts in a call against one a call, {SPREAD}",
        *("model, shape", "prompts/s, ÷ one by one", "one by one", "in batches"),
        *("µs CPU a prompt, one by one", "in batches"),
    )
    for row in report.batch:
        table.add_row(
            f"{row.model} {row.shape}",
            row.gain.text(1),
            f"{row.unary.rate.median:,.0f}",
            f"{row.batch.rate.median * BATCH_PROMPTS:,.0f}",
            f"{row.unary.cpu_us.median:.0f}",
            f"{row.batch.cpu_us.median / BATCH_PROMPTS:.1f}",
        )
    return table


def _kinds(report: Report) -> Table:
    table = titled(
        f"The same core (`paper`) on every kind of server, {SPREAD}",
        *("kind, cores, shape", "calls/s ÷ 8 threads pinned", "CPU a call ÷ the same"),
        *("calls/s", "µs CPU a call"),
    )
    for row in report.kinds:
        table.add_row(
            f"{row.name}, {'pinned' if row.pinned else 'free'}, {row.shape}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.cost.rate.median:.0f}",
            f"{row.cost.cpu_us.median:.0f}",
        )
    return table


def _latency(report: Report) -> Table:
    table = titled("One call in flight", "model, shape", "p50 ms", "p99 ms")
    for row in report.latency:
        table.add_row(f"{row.model} {row.shape}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}")
    return table


def _memory(report: Report) -> Table:
    table = titled("Resident memory of one server, both models at (16,5)", "calls", "MB")
    if report.memory is not None:
        table.add_row("none yet", f"{report.memory.idle_mb:.1f}")
        for calls, resident in zip(report.memory.calls, report.memory.resident_mb, strict=True):
            table.add_row(f"{calls:,}", f"{resident:.1f}")
        table.add_row("peak", f"{report.memory.peak_mb:.1f}")
    return table


def _answers(report: Report) -> Table:
    forms = [(shape, count) for shape in SHAPES_ALONE for count in (1, BATCH_PROMPTS)]
    headings = [f"{shape}{f' in {count}s' * (count > 1)}" for shape, count in forms]
    table = titled("µs a prompt without the service, median", "method", *headings)
    found = {(row.name, row.shape, row.prompt_count): row.prompt_us for row in report.answers}
    for name in dict.fromkeys(row.name for row in report.answers):
        spreads = [found.get((name, *form)) for form in forms]
        table.add_row(name, *("–" if one is None else f"{one.median:.1f}" for one in spreads))
    return table
