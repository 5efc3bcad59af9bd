"""Parts of the status of all workers: series, models and the table of workers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from service.status_numbers import Section
from service.trust import Trust
from service.worker_answers import Heard

GAP_SECONDS = 60.0  # two steps of the trend: an older point says nothing of this moment
WORST = ("score", "predicted_error", "leave_one_out", "ridge", "p99_seconds")

Values = Sequence[float | None]


def series(reports: Sequence[Section]) -> Section:
    """Return the trend of all: at every moment the highest error and time, and the sum of calls.

    The moments are those of the worker that has been there longest.
    """
    times: list[float] = max((report["time"] for report in reports), key=len, default=[])
    pairs = [(report, _newest(report["time"], times)) for report in reports]
    rules: dict[str, Callable[[Iterable[float]], float]] = dict.fromkeys(WORST, max)
    rules["calls_per_second"] = sum
    columns = {
        name: [
            _combined(rule, [_at(r["series"][name], m[i]) for r, m in pairs])
            for i in range(len(times))
        ]
        for name, rule in rules.items()
    }
    return {"time": times, "series": columns}


def _newest(times: Sequence[float], wanted: Sequence[float]) -> list[int | None]:
    """Return for each wanted time (ascending) the place of the newest one that is not too old."""
    found: list[int | None] = []
    place = -1
    for moment in wanted:
        while place + 1 < len(times) and times[place + 1] <= moment + 1.0:
            place += 1
        is_known = place >= 0 and times[place] > moment - GAP_SECONDS
        found.append(place if is_known else None)
    return found


def _at(values: Values, place: int | None) -> float | None:
    return None if place is None else values[place]


def _combined(rule: Callable[[Iterable[float]], float], values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return rule(known) if known else None


def models(reports: Sequence[Section]) -> list[Section]:
    """Return every model once: prompts added up, and what differs between workers named."""
    found: dict[str, list[Section]] = {}
    for report in reports:
        for one in report["models"]:
            found.setdefault(one["model"], []).append(one)
    return [_model(same) for same in found.values()]


def _model(same: Sequence[Section]) -> Section:
    states = {one["state"] for one in same}
    state = next(s for s in ("WARMING", "WATCHING", "UNWATCHED") if s in states)
    references = {one["reference"] for one in same}
    return {
        "model": same[0]["model"],
        "version": ", ".join(sorted({one["version"] for one in same})),
        "kind": same[0]["kind"],
        "reference": references.pop() if len(references) == 1 else "",
        "state": state,
        "prompts": sum(one["prompts"] for one in same),
        "last_update": max(one["last_update"] or 0 for one in same) or None,
    }


def skipped(reports: Sequence[Section]) -> dict[str, int]:
    """Return the prompts that all workers left out, by reason."""
    found: dict[str, int] = {}
    for report in reports:
        for name, count in report["skipped"].items():
            found[name] = found.get(name, 0) + count
    return found


def evaluation(reports: Sequence[Section]) -> Any:
    """Return the newest evaluation that any worker knows of."""
    known = [report["last_evaluation"] for report in reports if report["last_evaluation"]]
    return max(known, key=lambda one: one["time"], default=None)


def workers(heard: Sequence[Heard]) -> list[Section]:
    """Return one line for each worker."""
    return [_worker(one) for one in heard]


def _worker(heard: Heard) -> Section:
    standing, report = heard.standing, heard.report
    return {
        "worker": standing.number,
        "is_ready": standing.is_ready,
        "answer": heard.trust if report else Trust.NOT_MEASURED,
        "is_kept": heard.is_kept,
        "score": report["score"] if report else None,
        "prompts": sum(one["prompts"] for one in report["models"]) if report else 0,
        "metrics_port": standing.metrics_port,
        "restarts": standing.restart_count,
        "last_end": standing.last_end,
    }
