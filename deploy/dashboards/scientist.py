"""Row 2, for the data scientist: which signal moved, where to, and would a repair help?

The four curves of the signature are read with the table in docs/monitoring.md.
"""

from deploy.dashboards.panels import ALARM, Frame, Panel, Section, bars, lines, row, spread
from deploy.dashboards.promql import (
    MODEL,
    REFERENCE,
    SPACE,
    baseline,
    in_force,
    mean,
    over_reference,
    per_second,
)

NAMED = "{{model}} {{namespace}}"
CHANNEL = "{{model}} {{channel}} {{namespace}}"
DIRECTION = "{{model}} {{direction}} {{namespace}}"
BY_MODEL = "namespace, model"
BY_CHANNEL = f"{BY_MODEL}, channel"
BY_DIRECTION = f"{BY_MODEL}, direction"


def section() -> Section:
    """Return the row and its panels."""
    panels = [*_harm(), *_signature(), *_covariates(), *_directions(), *_limits(), *_inputs()]
    return row("scientist", "2 · Why? For the data scientist"), panels


def _harm() -> list[Panel]:
    score = Frame(
        "harm_score",
        f"Harm score, {ALARM}",
        "How sure it is that errors at least doubled (lower 95 % bound ÷ 2): above 1.0 the page "
        "goes out and a re-evaluation starts; 0.75 tells people without waking them.",
        "none",
        width=12,
    )
    channel = Frame(
        "harm_by_channel",
        f"Harm score by channel, {ALARM}",
        "h is predicted from covariates alone, loo is measured on the examples' own labels: only "
        "loo above the line means that labels or their noise changed; compare with the signature.",
        "none",
        width=12,
    )
    by_channel = f"max by ({BY_CHANNEL}) (model:sonoba_drift_gate:lcb95{{{MODEL}}}) / 2"
    query = f"max by (namespace, model) (model:sonoba_drift_score:max{{{MODEL}}})"
    return [lines(score, {NAMED: query}, 1.0), lines(channel, {CHANNEL: by_channel}, 1.0)]


def _signature() -> list[Panel]:
    live = Frame(
        "live_error",
        "Live error, served and ridge, × reference",
        "Leave-one-out error of the served model and of an exact ridge on the same prompts: served "
        "far above ridge means that recalibrating helps, both high that it does not.",
        "none",
        width=12,
    )
    signature = Frame(
        "signature",
        "Signature: h, loo, ridge, y², each × its own reference",
        "Which of the four rose tells the kind of change; look the combination up in the table of "
        "the monitoring guide before acting on a verdict.",
        "none",
        width=12,
    )
    both = f"{REFERENCE}, predictor"
    error = mean("sonoba_drift_loo_error_total", "sonoba_drift_loo_prompts_total", both)
    legend = "{{model}} {{predictor}} {{namespace}}"
    return [
        lines(live, {legend: over_reference(f"({error})", "loo", many=True)}),
        lines(signature, _four_ratios()),
    ]


def _four_ratios() -> dict[str, str]:
    """Return h, LOO, ridge and y² against their references, as the verdict reads them."""
    served = f'{MODEL},predictor="served"'
    prompts = per_second("sonoba_drift_loo_prompts_total", REFERENCE, served)
    power = f"{per_second('sonoba_drift_label_power_total', REFERENCE)} / {prompts}"
    inflation = f'{MODEL},channel="h"'
    h = (
        f"{per_second('sonoba_drift_inflation_total', REFERENCE, inflation)} / "
        f"{per_second('sonoba_drift_channel_prompts_total', REFERENCE, inflation)}"
    )
    return {
        "h " + NAMED: h,  # counted as a ratio already
        "loo " + NAMED: over_reference(f"({_error_of('served')})", "loo"),
        "ridge " + NAMED: over_reference(f"({_error_of('ridge')})", "loo_ridge"),
        "y² " + NAMED: over_reference(f"({power})", "label_power"),
    }


def _error_of(predictor: str) -> str:
    select = f'{MODEL},predictor="{predictor}"'
    total = per_second("sonoba_drift_loo_error_total", REFERENCE, select)
    return f"{total} / {per_second('sonoba_drift_loo_prompts_total', REFERENCE, select)}"


def _covariates() -> list[Panel]:
    moved = Frame(
        "covariates",
        f"Covariates moved (information), {ALARM}",
        "Whether inputs look different from the reference, harmful or not: above 1.0 with a low "
        "harm score needs no action, it only explains.",
        "none",
        width=12,
    )
    channel = Frame(
        "covariates_by_channel",
        f"Covariates moved by channel, {ALARM}",
        "Which statistic sees the move: mean, spread, correlation or tails; start the search in "
        "the data pipeline with it.",
        "none",
        width=12,
    )
    score = f"max by (namespace, model) (sonoba_drift_info_score{{{MODEL}}})"
    by_channel = f"max by ({BY_CHANNEL}) (sonoba_drift_info_channel_score{{{MODEL}}})"
    return [lines(moved, {NAMED: score}, 1.0), lines(channel, {CHANNEL: by_channel}, 1.0)]


def _directions() -> list[Panel]:
    return [_hurting_directions(), _moved_directions(), _ratios()]


def _hurting_directions() -> Panel:
    frame = Frame(
        "directions",
        "Which direction hurts, share of the excess error",
        "Principal directions of the training covariates that carry the harm: take the numbers of "
        "the longest bars to the evaluation report, which names the features.",
        "percentunit",
    )
    excess = "sonoba_drift_direction_excess_total"
    share = f"topk(10, {mean(excess, excess, BY_DIRECTION, BY_MODEL)})"
    return bars(frame, {DIRECTION: share}, "NO EXCESS", decimals=1)


def _moved_directions() -> Panel:
    frame = Frame(
        "moves",
        "Which way the inputs moved, standard deviations",
        "Mean move of recent prompts along each direction, in units of a single prompt's spread: "
        "a long bar here that is short at the left is a harmless move.",
        "none",
    )
    move = _signed_move()
    ends = f"topk(5, {move}) or bottomk(5, {move})"
    return bars(frame, {DIRECTION: ends}, "NOT MEASURED", decimals=2)


def _ratios() -> Panel:
    frame = Frame(
        "distribution",
        "Distribution of error ÷ normal",
        "Prompts by how much larger than normal their error is expected: a second band higher up "
        "means that a part of the callers changed, a shift of all means that everybody did.",
        "none",
    )
    gained = f"increase(sonoba_drift_inflation_ratio_bucket{{{MODEL}}}[$__rate_interval])"
    return spread(frame, f"sum by (le) ({gained})")


def _signed_move() -> str:
    name, labels = "sonoba_drift_direction_sum_total", BY_DIRECTION
    up, down = (
        per_second(name, labels, f'{MODEL},sign="{sign}"') for sign in ("positive", "negative")
    )
    prompts = per_second("sonoba_drift_prompts_total", BY_MODEL)
    return f"({up} - {down}) / on ({BY_MODEL}) group_left () {prompts}"


def _limits() -> list[Panel]:
    return [_sustained(), _relative(), _short()]


def _sustained() -> Panel:
    frame = Frame(
        "sustained_error",
        f"Sustained error, 30 min and 6 h, {ALARM}",
        "Mean error over its warning limit of 1.25 × normal; both curves above 1.0 is a warning "
        "that stays, so plan a recalibration.",
        "none",
    )
    windows = {
        f"{window} {CHANNEL}": f"max by ({BY_CHANNEL}) "
        f"({in_force(f'model:sonoba_drift_inflation:mean{window}{{{MODEL}}}')}) / 1.25"
        for window in ("30m", "6h")
    }
    return lines(frame, windows, 1.0)


def _relative() -> Panel:
    frame = Frame(
        "relative_harm",
        f"Error against what there is to predict, {ALARM}",
        "Excess error over signal, against the reference and its limit of 2: above 1.0 the answers "
        "lost their use though they may not have become worse.",
        "none",
        window="1h",
    )
    return lines(frame, {NAMED: f"{_relative_harm()} / 2"}, 1.0)


def _short() -> Panel:
    frame = Frame(
        "length_effect",
        f"Error expected of short prompts, {ALARM}",
        "What prompts with fewer examples than usual do to the error, over its limit of 1.5: above "
        "1.0 ask the caller to send more examples, retraining does not help.",
        "none",
        window="1h",
    )
    length = mean("sonoba_drift_length_effect_total", "sonoba_drift_prompts_total", BY_MODEL)
    return lines(frame, {NAMED: f"{length} / 1.5"}, 1.0)


def _relative_harm() -> str:
    excess = "sonoba_drift_excess_error_total", "sonoba_drift_query_signal_total"
    before = f"({baseline('h')} - {baseline('noise_variance')}) / {baseline('query_signal')}"
    return f"({mean(*excess, REFERENCE)}) / ({before})"


_ROWS = Frame(
    "examples_per_prompt",
    "Examples per prompt",
    "Mean number of examples a caller sends; a fall explains larger errors, so ask the caller "
    "first.",
    "none",
)
_WILD = Frame(
    "wild_prompts",
    "Share of wild prompts, limit 5 %",
    "Prompts whose error is more than twenty times normal and is cut there: above the line look "
    "for broken rows of one caller before retraining.",
    "percentunit",
    window="30m",
)
_LEFT_OUT = Frame(
    "left_out",
    "Prompts judged and left out, by reason",
    "Every prompt is answered, not every one judged: queue_full means that the monitor cannot keep "
    "up, everything else is about the data; nothing judged while calls come is an alarm.",
    "ops",
)
_REFUSED = Frame(
    "refusals_by_reason",
    "Refusals, by reason",
    "Calls turned back and the reason the caller was given; the table of errors in the guide says "
    "who has to change what.",
    "ops",
)
_REPAIR = Frame(
    "repair",
    "What a repair would buy, limit 1.25",
    "Present error over that of the best model for today's data: below the line leave the model, "
    "above it recalibrate.",
    "none",
)
_EVIDENCE = Frame(
    "evidence",
    "Prompts behind the 30 min judgement, at least 100",
    "How much evidence there is: below the line no verdict is drawn from this window, and silence "
    "is not good news.",
    "short",
)


def _inputs() -> list[Panel]:
    rows = mean("sonoba_drift_rows_total", "sonoba_drift_prompts_total", BY_MODEL)
    clipped = ("sonoba_drift_clipped_prompts_total", "sonoba_drift_channel_prompts_total")
    judged = per_second("sonoba_drift_prompts_total", BY_MODEL)
    left_out = per_second("sonoba_drift_skipped_prompts_total", "namespace, model, reason")
    refused = per_second("sonoba_rejections_total", "namespace, reason", SPACE)
    repair = f"max by (namespace, model) (sonoba_regret_ratio{{{MODEL}}})"
    evidence = f"sum by ({BY_CHANNEL}) (model:sonoba_drift_channel_prompts:increase30m{{{MODEL}}})"
    reason = "{{reason}} {{model}} {{namespace}}"
    return [
        lines(_ROWS, {NAMED: rows}),
        lines(_WILD, {CHANNEL: mean(*clipped, BY_CHANNEL)}, 0.05),
        lines(_LEFT_OUT, {f"judged {NAMED}": judged, reason: left_out}, stacked=True),
        lines(_REFUSED, {"{{reason}} {{namespace}}": refused}, stacked=True),
        lines(_REPAIR, {NAMED: repair}, 1.25),
        lines(_EVIDENCE, {CHANNEL: evidence}, 100),
    ]
