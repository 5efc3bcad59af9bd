"""Reports of evaluations as they come out: one for each kind of end, with plausible numbers."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from monitoring.rules import Rules
from service.findings import (
    BoundsTold,
    CandidateTold,
    FeatureTold,
    Findings,
    LevelTold,
    Window,
)
from service.report import (
    AfterTold,
    AlertTold,
    DecisionTold,
    Report,
    ShadowTold,
    Step,
    VersionsTold,
)
from service.words import Words

BEGIN = datetime(2026, 11, 4, 10, 32, 5, tzinfo=UTC)
SERVED, CANDIDATE = "3fa9c1d2e4b5", "8c04d7716ab2"
RULES = asdict(Rules())
COLUMNS = (
    ("temperature", "°C", 0.61, 31.4, 8.9, 18.6, 5.2),
    ("humidity", "%", 0.27, 71.2, 11.5, 50.1, 9.8),
    ("wind speed", "m/s", 0.09, 3.4, 1.1, 3.0, 0.7),
    ("registered riders of the hour before", "", 0.03, 118.0, 61.0, 121.0, 58.0),
    ("holiday", "", 0.0, 0.031, 0.17, 0.029, 0.168),
)


def bounds(mean, half):
    return BoundsTold(mean=mean, lower=mean - half, upper=mean + half)


def levels(h, loo):
    return {
        "h": LevelTold(mean=h, lower=h - 0.06 * h, prompt_count=1204),
        "loo": LevelTold(mean=loo, lower=loo - 0.08 * loo, prompt_count=1198),
    }


def feature(name, unit, share, mean, deviation, reference_mean, reference_deviation):
    return FeatureTold(
        name=name,
        unit=unit,
        share=share,
        window_mean=mean,
        window_deviation=deviation,
        reference_mean=reference_mean,
        reference_deviation=reference_deviation,
    )


def way(name, gain, error, half=0.04, evidence="reservoir"):
    return CandidateTold(
        name=name,
        error=bounds(error, 0.06 * error),
        gain=None if gain is None else bounds(gain, half),
        evidence=evidence,
        prompt_count=412,
    )


def findings(verdict, reason, sentence, advice, **changes):
    known = {
        "model": "bikes",
        "model_version": SERVED,
        "kind": "profile",
        "reference": "0a1b2c3d",
        "window": Window(
            prompt_count=1204,
            row_count=60_212,
            age_seconds=1860,
            replicas=("sonoba-0:50052", "sonoba-1:50052", "sonoba-2:50052"),
            missing_replicas=("sonoba-3:50052",),
            kept_prompt_count=412,
        ),
        "levels": levels(7.9, 7.2),
        "ratios": {
            "ridge": 1.04,
            "label_power": 1.12,
            "best": 1.02,
            "length_effect": 1.0,
            "clipped_share": 0.012,
        },
        "signature": "COVARIATE",
        "shift_kind": "scale",
        "features": tuple(feature(*column) for column in COLUMNS),
        "regret": 8.3,
        "candidates": (
            way("served", None, 7.2),
            way("recalibrated", 0.86, 1.01),
            way("repretrained", 0.84, 1.15, 0.05),
            way("foundation", 0.41, 4.2, 0.09),
            way("ridge", 0.02, 7.0, 0.08),
        ),
        "verdict": verdict,
        "reason": reason,
        "step": "6: a recalibration helps",
        "sentence": Words(en=sentence[0], ja=sentence[1]),
        "advice": Words(en=advice[0], ja=advice[1]),
    }
    return Findings(**(known | changes))


def steps(*states):
    """Return states with seconds after the beginning."""
    return tuple(Step(state=s, time=BEGIN + timedelta(seconds=after)) for s, after in states)


def decision(action, rule, en, ja, after):
    return DecisionTold(
        action=action,
        rule=rule,
        sentence=Words(en=en, ja=ja),
        time=BEGIN + timedelta(seconds=after),
    )


def report(found, history, decisions, **changes):
    last = history[-1]
    known = {
        "evaluation": "20261104-103205-bikes-1f2e",
        "model": "bikes",
        "trigger": "alert",
        "alerts": (AlertTold(alertname="SonobaErrorInflationCritical", severity="critical"),),
        "asked": BEGIN,
        "judged": BEGIN + timedelta(seconds=3),
        "ended": last.time,
        "state": last.state,
        "history": history,
        "findings": found,
        "decisions": decisions,
        "rules": RULES,
        "versions": VersionsTold(served=SERVED, in_force=SERVED),
    }
    return Report(**(known | changes))


def promoted(**changes):
    found = findings(
        "RECALIBRATE",
        "COVARIATE",
        (
            "Temperature and humidity moved to where this model answers badly, and a recalibrated "
            "version answers the same prompts with 86 % less error.",
            "気温と湿度がモデルの苦手な範囲に移りました。再調整したバージョンなら、同じプロンプトの"
            "誤差が 86% 減ります。",
        ),
        (
            "Put the recalibrated version in force, and find out why the columns moved.",
            "再調整したバージョンに切り替え、列が変化した理由を調べてください。",
        ),
    )
    history = steps(
        ("ASKED", 0),
        ("GATHERING", 0.4),
        ("JUDGED", 3),
        ("SHADOWING", 4.2),
        ("PROMOTING", 64),
        ("WATCHING", 67),
        ("DONE", 1880),
    )
    decisions = (
        decision(
            "SHADOW",
            "shadow_before_promotion",
            "The gain is above 5 %, so the candidate is tried on live prompts first.",
            "改善が 5% を超えるため、まず実際のプロンプトで並行して試します。",
            4,
        ),
        decision(
            "PROMOTE",
            "promote_when_gain_holds",
            "On 240 live prompts it saves at least 82 %; 5 % is required.",
            "実際のプロンプト 240 件で少なくとも 82% 減りました（基準は 5%）。",
            64,
        ),
        decision(
            "NOTHING",
            "watch_passed",
            "Over 1,000 prompts its error stayed below the bound of 1.31.",
            "1,000 件にわたり、誤差は上限の 1.31 倍を下回りました。",
            1880,
        ),
    )
    known = {
        "shadow": ShadowTold(
            gain=bounds(0.85, 0.03),
            served=bounds(7.4, 0.5),
            candidate=bounds(1.1, 0.12),
            prompt_count=240,
        ),
        "after": AfterTold(error=bounds(0.97, 0.06), limit=1.31, prompt_count=1000),
        "versions": VersionsTold(served=SERVED, candidate=CANDIDATE, in_force=CANDIDATE),
    }
    return report(found, history, decisions, **(known | changes))


def told_of_noise(**changes):
    found = findings(
        "TELL_BUSINESS",
        "NOISE",
        (
            "The answers to be predicted have become noisier themselves: no model could do better "
            "on these prompts.",
            "予測する値そのもののばらつきが増えました。どのモデルでも、これ以上の改善は望めません。",
        ),
        (
            "Find out what changed in how the values are measured; retraining does not help.",
            "値の測定方法に変化がなかったか確認してください。再学習しても改善しません。",
        ),
        levels=levels(1.02, 2.61),
        ratios={"ridge": 3.9, "label_power": 1.31, "best": 1.0, "length_effect": 1.0}
        | {"clipped_share": None},
        signature="NOISE",
        shift_kind="",
        features=tuple(
            feature(name, unit, None, ref + 0.1 * sd, sd, ref, sd)
            for name, unit, _, _, _, ref, sd in COLUMNS[:3]
        ),
        regret=1.0,
        candidates=(
            way("served", None, 2.61),
            way("recalibrated", 0.004, 2.6, 0.02),
            way("foundation", -0.31, 3.4, 0.12),
            way("ridge", -0.02, 2.66, 0.03),
        ),
        step="4: labels became noisier",
    )
    history = steps(("ASKED", 0), ("GATHERING", 0.4), ("JUDGED", 2.8), ("DONE", 3.1))
    decisions = (
        decision(
            "TELL",
            "verdict_needs_people",
            "This verdict asks for people; nothing is changed.",
            "この結論は人の判断が必要なため、何も変更しません。",
            3.1,
        ),
    )
    return report(found, history, decisions, **changes)


def kept(**changes):
    found = findings(
        "KEEP",
        "NONE",
        (
            "The model answers as well as on the day it was accepted.",
            "モデルの精度は、採用したときと変わりません。",
        ),
        ("Nothing needs to be done.", "対応は不要です。"),
        levels=levels(1.01, 0.98),
        ratios={"ridge": 0.99, "label_power": 1.01, "best": 1.0, "length_effect": 1.0}
        | {"clipped_share": 0.0},
        signature="QUIET",
        shift_kind="",
        features=(),
        regret=1.02,
        candidates=(
            way("served", None, 0.98, evidence="sums"),
            way("recalibrated", 0.01, 0.97, 0.03, evidence="sums"),
        ),
        step="2: nothing has risen",
    )
    history = steps(("ASKED", 0), ("GATHERING", 0.4), ("JUDGED", 2.1), ("DONE", 2.2))
    decisions = (
        decision(
            "NOTHING",
            "verdict_keeps",
            "The verdict asks for nothing.",
            "この結論では、対応は必要ありません。",
            2.2,
        ),
    )
    known = {"trigger": "schedule", "alerts": ()}
    return report(found, history, decisions, **(known | changes))


def fallen_back(**changes):
    found = findings(
        "FALL_BACK_AND_REPRETRAIN",
        "HEAVY_TAILS",
        (
            "Rows far outside anything seen before come in, and no adjustment of this model copes "
            "with them; a simpler one does.",
            "これまでにない極端な行が届いており、このモデルの調整では対応できません。簡易なモデルなら"
            "対応できます。",
        ),
        (
            "Approve the fallback, have the rows checked, and train a new version.",
            "切り替えを承認し、極端な行を確認したうえで、最近の履歴から再学習してください。",
        ),
        levels=levels(15.6, 11.9),
        ratios={"ridge": 1.45, "label_power": 2.7, "best": 1.4, "length_effect": 1.02}
        | {"clipped_share": 0.34},
        signature="HEAVY_TAILS",
        shift_kind="tail",
        features=tuple(
            feature(name, unit, share, ref + 7 * sd * share, 9 * sd * (share + 0.1), ref, sd)
            for name, unit, share, _, _, ref, sd in COLUMNS
        ),
        regret=None,
        candidates=(
            way("served", None, 11.9),
            way("recalibrated", -1.9, 19.0, 0.6),
            way("foundation", 0.52, 5.7, 0.21),
            way("ridge", 0.71, 3.4, 0.16),
        ),
        step="7: no candidate of its kind helps",
    )
    history = steps(("ASKED", 0), ("GATHERING", 0.4), ("JUDGED", 3.3), ("PROPOSED", 3.6))
    decisions = (
        decision(
            "PROPOSE",
            "kind_change_needs_a_person",
            "Another kind of model needs a person's approval.",
            "モデルの種類の変更には担当者の承認が必要です。",
            3.6,
        ),
    )
    known = {"versions": VersionsTold(served=SERVED, candidate=CANDIDATE, in_force=SERVED)}
    return report(found, history, decisions, **(known | changes))


def failed(**changes):
    history = steps(("ASKED", 0), ("GATHERING", 0.4), ("FAILED", 12))
    known = {
        "judged": None,
        "failure": "2 of 4 replicas gave no sums; at least 80 % are needed.",
    }
    return report(None, history, (), **(known | changes))


def shadowing(**changes):
    """Return a report of an evaluation that goes on."""
    whole = promoted()
    known = {
        "state": "SHADOWING",
        "ended": None,
        "history": whole.history[:4],
        "decisions": whole.decisions[:1],
        "shadow": None,
        "after": None,
        "versions": VersionsTold(served=SERVED, candidate=CANDIDATE),
    }
    return whole.model_copy(update=known | changes)


def taken_back(**changes):
    whole = promoted()
    history = (*whole.history[:-1], Step(state="ROLLED_BACK", time=BEGIN + timedelta(seconds=400)))
    taken = decision(
        "ROLL_BACK",
        "live_error_above_its_bound",
        "Over 180 prompts its error was at least 1.74, above the bound of 1.31.",
        "180 件で誤差が少なくとも 1.74 倍となり、上限の 1.31 倍を超えました。",
        400,
    )
    known = {
        "state": "ROLLED_BACK",
        "ended": history[-1].time,
        "history": history,
        "decisions": (*whole.decisions[:2], taken),
        "after": AfterTold(error=bounds(1.93, 0.19), limit=1.31, prompt_count=180),
        "versions": VersionsTold(served=SERVED, candidate=CANDIDATE, in_force=SERVED),
    }
    return whole.model_copy(update=known | changes)


ALL = {
    "recalibrate-promoted": promoted,
    "tell-business-noise": told_of_noise,
    "keep": kept,
    "fall-back-proposed": fallen_back,
    "failed": failed,
    "shadowing": shadowing,
    "taken-back": taken_back,
}
