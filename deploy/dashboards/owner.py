"""Row 1, for the owner of the business: may today's predictions be trusted?

English and Japanese, because this row is read by people who do not read the others.
"""

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMapping, ValueMappingResult

from deploy.dashboards.panels import Frame, Panel, Section, bars, history, number, row
from deploy.dashboards.promql import MODEL, PREDICTION, SERVER, in_force, in_range

DAY_SECONDS = 86400
REFUSED = "InvalidArgument|FailedPrecondition|NotFound|OutOfRange|Unimplemented"


def section() -> Section:
    """Return the row and its panels."""
    return row("owner", "1 · Can I trust it?  予測は信頼できますか"), [*_now(), *_decided()]


def _now() -> list[Panel]:
    return [_trust(), _error(), _answered(), _refused(), _checked()]


def _answers() -> list[ValueMapping]:
    words = {"0": ("YES", "green"), "1": ("WATCH", "orange"), "2": ("NO", "red")}
    results = {
        value: ValueMappingResult(text=text, color=color, index=int(value))
        for value, (text, color) in words.items()
    }
    return [ValueMap(options=results)]


def _trust() -> stat.Panel:
    frame = Frame(
        "trust",
        "Can I trust today's predictions?",
        "The worst of the chosen models: YES, use them; WATCH, use them and ask the data scientist "
        "today; NO, do not decide by them, a re-evaluation has been started; NOT MEASURED, too few "
        "predictions to tell, or nothing measures (then call operations). "
        "YES=使ってよい、WATCH=使いながら担当者に確認、NO=判断に使わず担当者へ連絡(再評価は自動で開始済み)、"
        "NOT MEASURED=件数不足または未計測。",
        "none",
        width=6,
    )
    panel = number(
        frame,
        f"max(model:sonoba_trust:state{{{MODEL}}})",
        {1.0: "orange", 2.0: "red"},
        "NOT MEASURED",
    )
    return panel.mappings(_answers())


def _error() -> Panel:
    frame = Frame(
        "error_against_normal",
        "Error against normal, ×",
        "How large errors are now against the day the model was accepted: 1 is normal, at 2 ask "
        "the data scientist whether to go on. "
        "誤差が導入時の何倍か。1が通常、2以上は担当者に相談してください。",
        "none",
        width=4,
    )
    enough = f"model:sonoba_drift_channel_prompts:increase5m{{{MODEL}}} >= 100"
    recent = f"model:sonoba_drift_inflation:mean5m{{{MODEL}}} and {enough}"
    long = f"model:sonoba_drift_inflation:mean6h{{{MODEL}}} >= 0"  # drops 0 ÷ 0
    query = f"max({in_force(f'{recent} or {long}')})"
    return number(frame, query, {1.25: "orange", 2.0: "red"}, "NOT MEASURED", decimals=2)


def _answered() -> Panel:
    frame = Frame(
        "answered",
        "Predictions answered",
        "Predictions given in the chosen time; a sudden fall means that a calling system stopped, "
        "so ask its owner. "
        "期間内に返した予測の件数。急に減ったら、呼び出し側の担当者に確認してください。",
        "short",
        width=4,
    )
    query = f"sum(increase(sonoba_queries_total{{{MODEL}}}[$__range]))"
    return number(frame, query, {}, "NONE")


def _refused() -> Panel:
    frame = Frame(
        "refused",
        "Calls refused, with a reason",
        "Share of calls turned back because what they sent cannot be used, each with a sentence "
        "that says why; above 1 % show that sentence to the team that calls. "
        "送られたデータの不備で断った割合。1%を超えたら、理由の文を呼び出し側に伝えてください。",
        "percentunit",
        width=5,
    )
    calls = f"{SERVER},{PREDICTION}"
    refused = f'{calls},grpc_code=~"{REFUSED}"'
    share = (
        f"sum(increase(grpc_server_handled_total{{{refused}}}[$__range]))"
        f" / (sum(increase(grpc_server_handled_total{{{calls}}}[$__range])) > 0)"
    )
    return number(frame, share, {0.01: "orange"}, "NO CALLS", decimals=2)


def _checked() -> Panel:
    frame = Frame(
        "last_checked",
        "Model last checked, time ago",
        "Time since the least recently checked of the chosen models was compared with reality; "
        "above two days ask operations why the nightly check did not run. "
        "最後の検証からの経過時間。2日を超えたら運用担当に確認してください。",
        "s",
        width=5,
        report="/reports/latest",
    )
    last = f"max by (namespace, model) (sonoba_last_reevaluation_timestamp_seconds{{{MODEL}}} > 0)"
    return number(frame, f"time() - min({last})", {2.0 * DAY_SECONDS: "orange"}, "NEVER")


def _decided() -> list[Panel]:
    decided = Frame(
        "decided",
        "What was decided",
        "Decisions of the checks in the chosen time, by kind; the one that needs you is "
        "TELL_BUSINESS: the world has changed and no retraining helps. The link leads to the "
        "reports. "
        "検証の結論の件数。TELL_BUSINESS は再学習では直らない変化なので、業務側の判断が必要です。"
        "詳細はリンク先のレポートへ。",
        "short",
        report="/reports",
    )
    past = Frame(
        "history",
        "History by model",
        "When each model was good, to be watched, or not to be used; look here before reusing "
        "predictions of an earlier day. 過去の予測を使う前に、その日の状態を確認してください。",
        "none",
        width=16,
    )
    verdicts = f"sort_desc({in_range('sonoba_reevaluations_total', 'verdict')})"
    state = f"max by (namespace, model) (model:sonoba_trust:state{{{MODEL}}})"
    return [
        bars(decided, {"{{verdict}}": verdicts}, "NOTHING CHECKED"),
        history(past, {"{{model}} {{namespace}}": state}, _answers()),
    ]
