"""Row 3, for operations: is the service up, fast, on one version, and does the monitor work?"""

from deploy.dashboards.panels import ALARM, Frame, Panel, Section, bars, lines, row
from deploy.dashboards.promql import (
    MODEL,
    PREDICTION,
    REPLICA,
    SERVER,
    SPACE,
    per_second,
)

CALLS = f"{SERVER},{PREDICTION}"
POD = "{{pod}} {{instance}}"
BURN = 14.4  # × the budget's even pace: a 30 days' budget is gone in two


def section() -> Section:
    """Return the row and its panels."""
    calls = [_alarms(), _calls(), _latency(), _availability(), _slowness(), _traffic()]
    replicas = [_pending(), _cpu(), _memory(), _scraped(), _versions(), _changes()]
    monitor = [_harm(), _lag(), _backlog()]
    return row("sre", "3 · Does it run? For operations"), [*calls, *replicas, *monitor]


def _alarms() -> Panel:
    frame = Frame(
        "alarms",
        "Alarms firing now",
        "Every alarm that fires, with its number of series: open the runbook of the same name.",
        "short",
    )
    firing = f'ALERTS{{{SPACE},alertname=~"Sonoba.*",alertstate="firing"}}'
    count = f"sort_desc(count by (alertname) ({firing}))"
    return bars(frame, {"{{alertname}}": count}, "NONE")


def _calls() -> Panel:
    frame = Frame(
        "calls_by_status",
        "Calls per second, by status",
        "Traffic by gRPC status without health checks: Unavailable, Internal, DeadlineExceeded and "
        "ResourceExhausted are ours, InvalidArgument is the caller's.",
        "reqps",
    )
    rate = per_second("grpc_server_handled_total", "grpc_code", CALLS)
    return lines(frame, {"{{grpc_code}}": rate}, stacked=True)


def _latency() -> Panel:
    frame = Frame(
        "latency",
        "Latency by method, p50 and p99, limit 50 ms",
        "Time in the server: p99 of Predict above the line eats the latency budget, so look at "
        "pending calls and CPU next.",
        "s",
    )
    buckets = per_second("grpc_server_handling_seconds_bucket", "le, grpc_method", CALLS)
    quantiles = {
        f"p{round(100 * q)} {{{{grpc_method}}}}": f"histogram_quantile({q}, {buckets})"
        for q in (0.5, 0.99)
    }
    return lines(frame, quantiles, 0.05)


def _availability() -> Panel:
    frame = Frame(
        "availability_burn",
        "Availability budget burn, line 14.4",
        "How many times too fast the 0.1 % of allowed failures is used up: 1 lasts exactly the "
        "month, above the line it is gone in two days.",
        "none",
    )
    return lines(frame, _burn("errors", 0.001), BURN)


def _slowness() -> Panel:
    frame = Frame(
        "latency_burn",
        "Latency budget burn, line 14.4",
        "The same for the 1 % of Predict calls that may take longer than 50 ms; add replicas or "
        "find the large prompts.",
        "none",
    )
    return lines(frame, _burn("slow", 0.01), BURN)


def _burn(what: str, budget: float) -> dict[str, str]:
    return {
        f"{window} {{{{namespace}}}}": f"max by (namespace) "
        f"(job:sonoba_rpc_{what}:ratio_rate{window}{{{SERVER}}}) / {budget}"
        for window in ("5m", "30m", "1h", "6h", "3d")  # an alarm wants a long and a short one
    }


def _traffic() -> Panel:
    frame = Frame(
        "traffic",
        "Calls in the last hour, at least 200",
        "Below the line both budgets are not alarmed about, because one failed call would decide.",
        "short",
    )
    hour = f"sum by (namespace, job) (job:sonoba_rpc:increase1h{{{SERVER}}})"
    return lines(frame, {"{{job}} {{namespace}}": hour}, 200)


def _pending() -> Panel:
    frame = Frame(
        "pending",
        "Pending calls, by replica",
        "Calls that wait for a thread: a level that stays above zero on all replicas asks for more "
        "replicas, on one replica for better balancing.",
        "short",
    )
    return lines(frame, {POD: f"max by ({REPLICA}) (sonoba_pending_requests{{{SERVER}}})"})


def _cpu() -> Panel:
    frame = Frame(
        "cpu",
        "CPU, cores by replica",
        "A replica saturates near one core: scale out before 0.7, more cores for one do not help.",
        "none",
    )
    return lines(frame, {POD: per_second("process_cpu_seconds_total", REPLICA, SERVER)})


def _memory() -> Panel:
    frame = Frame(
        "memory",
        "Memory, by replica",
        "Resident memory against the limit of the pod (1 GiB as shipped): a steady climb is a leak "
        "to report, a step follows large messages.",
        "bytes",
    )
    resident = f"max by ({REPLICA}) (process_resident_memory_bytes{{{SERVER}}})"
    return lines(frame, {POD: resident})


def _scraped() -> Panel:
    frame = Frame(
        "replicas",
        "Replicas scraped",
        "Replicas that answer the scrape: fewer than deployed means that they are down or not "
        "selected. Above zero, that many certificates end soon and were not renewed, or that many "
        "workers of one machine do not answer.",
        "short",
    )
    replicas = f"sum by (namespace) (up{{{SERVER}}})"
    left = f"sonoba_certificate_expiry_timestamp_seconds{{{SERVER}}} - time()"
    soon = f"clamp_max(0.2 * sonoba_certificate_lifetime_seconds{{{SERVER}}}, 14 * 86400)"
    ending = f"count by (namespace) ({left} < {soon}) or 0 * {replicas}"
    workers = f"sonoba_workers{{{SPACE}}} - sonoba_workers_alive{{{SPACE}}}"
    queries = {
        "{{namespace}} replicas": replicas,
        "{{namespace}} certificates ending": ending,
        "{{namespace}} workers missing": f"sum by (namespace) ({workers})",
    }
    return lines(frame, queries)


def _versions() -> Panel:
    frame = Frame(
        "versions",
        "Replicas by model version",
        "Two versions of one model side by side are normal for two minutes after a promotion; "
        "longer, restart the replicas on the old one.",
        "short",
    )
    count = f"count by (namespace, model, version, kind) (sonoba_model_info{{{MODEL}}})"
    return lines(frame, {"{{model}} {{version}} {{kind}} {{namespace}}": count}, stacked=True)


def _changes() -> Panel:
    frame = Frame(
        "swaps",
        "Model swaps and re-evaluations, by outcome",
        "Loads of a new version, finished checks and what came of candidates in the last step; "
        "anything but ok left or put the old version in force, its report says why.",
        "short",
        report="/reports",
    )
    gained = "sum by (namespace, model, outcome) (increase({}{{{}}}[$__rate_interval]))"
    events = {
        f"{what} {{{{outcome}}}} {{{{model}}}} {{{{namespace}}}}": gained.format(metric, MODEL)
        for what, metric in (
            ("swap", "sonoba_swaps_total"),
            ("check", "sonoba_reevaluations_total"),
            ("candidate", "sonoba_promotions_total"),
        )
    }
    return lines(frame, events)


def _harm() -> Panel:
    frame = Frame(
        "harm_by_replica",
        f"Harm by replica, {ALARM}",
        "The harm score of each replica's own last prompts: one replica above the line alone has "
        "an old model or one odd caller, all together is a real shift.",
        "none",
    )
    score = f"max by ({REPLICA}) (pod:sonoba_drift_gate:max{{{MODEL}}}) / 2"
    return lines(frame, {POD: score}, 1.0)


def _lag() -> Panel:
    frame = Frame(
        "monitor_lag",
        "Monitor lag",
        "Time since the monitor of the slowest replica last took in prompts: growing while calls "
        "arrive means that harm goes unseen, so restart that replica. Where models are published "
        "to a cluster, time since that last succeeded: beyond ten minutes, promotions are late.",
        "s",
    )
    last = f"min by (namespace) (sonoba_drift_last_update_timestamp_seconds{{{MODEL}}} > 0)"
    published = f"max by (namespace) (sonoba_publish_last_success_timestamp_seconds{{{SPACE}}})"
    queries = {
        "{{namespace}} lag": f"time() - {last}",
        "{{namespace}} models published": f"time() - {published}",
    }
    return lines(frame, queries)


def _backlog() -> Panel:
    frame = Frame(
        "monitor_backlog",
        "Monitor backlog, prompts by replica",
        "Prompts that wait to be judged: a full queue drops prompts from the statistics, never "
        "from the answers.",
        "short",
    )
    return lines(frame, {POD: f"max by ({REPLICA}) (sonoba_drift_queue_prompts{{{MODEL}}})"})
