"""What each business rule says when it decides, English and Japanese side by side.

`n` is a number of prompts or actions, `x` the number that decided, `r` the rules in force.
"""

from typing import Final

from monitoring.rules import Rules

SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "changed_meanwhile": (
        "Another version was put in force meanwhile, so this was decided for one that is gone.",
        "この間に別のバージョンに切り替わったため、この判断は無効です。",
    ),
    "bad_rows": (
        "A few sources send wild rows: set those aside first, no version can cure them.",
        "一部の送信元が異常な行を送っています。まずそれを除いてください。モデルの交換では直りません。",
    ),
    "too_few_prompts": (
        "{n} prompts are too few to decide on; the rules ask for {r.minimum_prompts}.",
        "判断には件数が足りません（{n} 件、必要数は {r.minimum_prompts} 件）。",
    ),
    "keep": (
        "The version in force is right as it is.",
        "使用中のバージョンのままで問題ありません。",
    ),
    "keep_watch": (
        "The version in force stays; the rise is small and nothing is surely better.",
        "使用中のバージョンを維持します。誤差の増加は小さく、確実に良い代わりはありません。",
    ),
    "tell_business": (
        "No version can cure this: the business has to look at its labels.",
        "モデルの交換では直りません。業務側で正解値を確認してください。",
    ),
    "tell_caller": (
        "No version can cure this: the caller has to look at the prompts.",
        "モデルの交換では直りません。呼び出し側で送信内容を確認してください。",
    ),
    "no_candidate": (
        "Something has to be done, but there is no new version to try: re-pretrain the model.",
        "対応が必要ですが、試せる新しいバージョンがありません。モデルを再学習してください。",
    ),
    "error_is_back": (
        "The error went back to {x:.2f} times normal by itself and stayed there.",
        "誤差は自然に通常の {x:.2f} 倍まで戻り、落ち着いています。",
    ),
    "shadow_first": (
        "The new version answers {r.shadow_prompts} live prompts beside the old one before anything"
        " changes.",
        "切り替える前に、新しいバージョンを実際のプロンプト {r.shadow_prompts} 件で試します。",
    ),
    "too_many_actions": (
        "Versions changed by themselves {n} times within a day; the rules allow"
        " {r.actions_per_day_max}, so a person decides.",
        "1 日の自動切り替えが {n} 回に達しました（上限 {r.actions_per_day_max} 回）。"
        "ここからは人が判断します。",
    ),
    "cool_down": (
        "What is in force changed less than {cool_down} ago, so a person decides.",
        "前回の切り替えから {cool_down} たっていないため、人が判断します。",
    ),
    "gathering_evidence": (
        "{n} live prompts were answered by both versions so far; more are needed.",
        "これまでに {n} 件を両方のバージョンで答えました。判断にはまだ足りません。",
    ),
    "shadow_too_short": (
        "Only {n} live prompts came within the time for the trial, so a person decides.",
        "試験の期間内に {n} 件しか届かなかったため、人が判断します。",
    ),
    "version_refused": (
        "A server refused to load the version, so it is not used.",
        "サーバーがこのバージョンの読み込みを拒否したため、使用しません。",
    ),
    "surely_worse": (
        "On live prompts the version is surely worse than the one in force, by {x:.1%} or more.",
        "実際のプロンプトで、使用中のバージョンより確実に悪い結果でした（{x:.1%} 以上）。",
    ),
    "tenant_worse": (
        "The error of one tenant would rise by {x:.1%}, so a person decides.",
        "あるテナントの誤差が {x:.1%} 増えるため、人が判断します。",
    ),
    "operator_approves": (
        "On live prompts the new version saves {x:.1%} of the error or more; by the rules a person"
        " puts it in force.",
        "実際のプロンプトで誤差が {x:.1%} 以上減りました。規則により、切り替えは人が行います。",
    ),
    "gain_proven": (
        "On live prompts the new version surely saves {x:.1%} of the error, above the"
        " {r.minimum_gain:.1%} that the rules ask for.",
        "実際のプロンプトで誤差が確実に {x:.1%} 減りました（必要な改善は {r.minimum_gain:.1%}）。",
    ),
    "gain_below_minimum": (
        "The new version is better, but surely by only {x:.1%}; below {r.minimum_gain:.1%} a person"
        " decides.",
        "改善は確かですが {x:.1%} にとどまります。{r.minimum_gain:.1%} 未満は人が判断します。",
    ),
    "gain_not_shown": (
        "Live prompts do not show that the new version is better by {r.minimum_gain:.1%}.",
        "実際のプロンプトでは、{r.minimum_gain:.1%} の改善を確認できませんでした。",
    ),
    "critical_on_new_reference": (
        "The error of the new version is {x:.1f} times its own normal.",
        "新しいバージョンの誤差が、それ自身の通常の {x:.1f} 倍になりました。",
    ),
    "error_above_shadow": (
        "Live, the new version errs {x:.2f} times as much as its trial allowed.",
        "切り替え後の誤差が、試験で見込んだ上限の {x:.2f} 倍になりました。",
    ),
    "watch_passed": (
        "The new version kept what its trial promised over {n} prompts.",
        "新しいバージョンは {n} 件で、試験どおりの結果を保ちました。",
    ),
    "watch_ended": (
        "The time to watch the new version is over; {n} prompts came and none of the limits was"
        " broken.",
        "新しいバージョンの監視期間が終わりました。{n} 件届き、上限を超えませんでした。",
    ),
    "watching": (
        "The new version is watched: {n} of {r.watch_prompts} prompts.",
        "新しいバージョンを監視中です（{n}/{r.watch_prompts} 件）。",
    ),
    "operator_forced": (
        "A person put the version in force against the rules.",
        "規則によらず、人の判断で切り替えました。",
    ),
    "operator_approved": (
        "A person put the proposed version in force.",
        "提案されたバージョンを、人が承認しました。",
    ),
    "no_evidence": (
        "No evaluation proposed this version; only force puts it in force.",
        "このバージョンを提案した評価がありません。切り替えるには強制の指定が必要です。",
    ),
}


def sentences(rule: str, rules: Rules, n: int, x: float) -> tuple[str, str]:
    """Return what a rule says, in English and in Japanese."""
    english, japanese = SENTENCES[rule]
    span = rules.cool_down_seconds
    return (
        english.format(n=n, x=x, r=rules, cool_down=f"{_of(span)} {_unit(span)}"),
        japanese.format(n=n, x=x, r=rules, cool_down=f"{_of(span)} {_UNITS[_unit(span)]}"),
    )


_UNITS: Final = {"h": "時間", "min": "分", "s": "秒"}
_SECONDS: Final = {"h": 3600.0, "min": 60.0, "s": 1.0}


def _unit(seconds: float) -> str:
    return next((unit for unit, size in _SECONDS.items() if seconds >= size), "s")


def _of(seconds: float) -> str:
    return f"{seconds / _SECONDS[_unit(seconds)]:.3g}"
