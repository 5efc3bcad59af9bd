"""A verdict in words: what it means and what to do, for a reader who is no engineer, en and ja."""

from typing import NamedTuple

from monitoring.paired import Bounds
from monitoring.verdict import Judged, Reason
from service.verdict_sentences import ADVICE, CANDIDATES, CAUSES, SENTENCES
from service.words import Words

UNKNOWN = float("nan")


class Facts(NamedTuple):
    """What the sentences name."""

    prompt_count: int
    prompts_min: int
    error: float  # over normal, the larger of what is expected and what labels show
    ridge: float  # error of an exact fit to each prompt, over normal; NaN where it is not known
    label_power: float  # over normal
    clipped_share: float
    shift_kind: str  # of monitoring.attribution.KINDS, tail, or empty
    features: tuple[str, ...]  # that hurt, the worst first
    candidate: str  # recalibrated, repretrained, foundation, or empty
    gain: Bounds | None  # of the candidate, on kept prompts; None where sums alone are known
    expected_gain: float  # of a recalibration, by sums


def words(judged: Judged, facts: Facts) -> tuple[Words, Words]:
    """Return the sentence and the advice."""
    key = judged.verdict, judged.reason
    sentence = SENTENCES.get(key) or SENTENCES[judged.verdict, Reason.COVARIATE]
    advice = ADVICE[judged.verdict]
    fields = _fields(facts)
    ready = _ready(facts)
    return (
        Words(en=sentence.en.format(**fields["en"]), ja=sentence.ja.format(**fields["ja"])),
        Words(
            en=advice.en.format(ready=ready.en, **fields["en"]),
            ja=advice.ja.format(ready=ready.ja, **fields["ja"]),
        ),
    )


def _fields(facts: Facts) -> dict[str, dict[str, str]]:
    """Return what the templates are filled with, by language."""
    cause = _cause(facts)
    shared = {
        "n": f"{facts.prompt_count:,}",
        "least": f"{facts.prompts_min:,}",
        "error": _times(facts.error),
        "ridge": _times(facts.ridge),
        "power": _times(facts.label_power),
        "clipped": _percent(facts.clipped_share),
        "gain": _percent(facts.expected_gain if facts.gain is None else facts.gain.mean),
    }
    return {"en": shared | {"cause": cause.en}, "ja": shared | {"cause": cause.ja}}


def _cause(facts: Facts) -> Words:
    """Return why errors rose, by what hurts most."""
    found = CAUSES.get(facts.shift_kind, CAUSES[""])
    names = facts.features[:2]
    if not names:
        en, ja = "the features", "特徴量"
    else:
        en = " and ".join(f"`{name}`" for name in names)
        ja = "と".join(f"「{name}」" for name in names)
    return Words(en=found.en.format(names=en), ja=found.ja.format(names=ja))


def _ready(facts: Facts) -> Words:
    """Return which version is ready, and how sure it is that it helps."""
    if not facts.candidate:
        return Words(en="No other version is ready.", ja="代わりのバージョンはありません。")
    name = CANDIDATES[facts.candidate]
    if facts.gain is None:
        proof_en = "It has to prove itself on live prompts before it may answer."
        proof_ja = "実際のプロンプトで効果を確かめてから切り替えます。"
        if facts.candidate == "recalibrated" and facts.expected_gain > 0.0:
            share = _percent(facts.expected_gain)
            proof_en = f"By the sums it should save about {share} of the error. {proof_en}"
            proof_ja = f"集計からは誤差が約 {share} 減る見込みです。{proof_ja}"
    else:
        mean, least = _percent(facts.gain.mean), _percent(facts.gain.lower)
        sure = f"at least {least}, with 95 % confidence"
        proof_en = f"On kept prompts it saved {mean} of the error ({sure})."
        proof_ja = (
            f"保存されたプロンプトでは誤差が {mean} 減りました（95 % の信頼度で {least} 以上）。"
        )
    return Words(en=f"{name.en} is ready. {proof_en}", ja=f"{name.ja}を用意しました。{proof_ja}")


def _times(ratio: float) -> str:
    if ratio != ratio:
        return "?"
    return f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:.0f}"


def _percent(share: float) -> str:
    return "?" if share != share else f"{100.0 * share:.0f} %"
