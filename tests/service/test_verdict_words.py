"""Verdicts in words: every one of them, both languages, with the numbers and the names."""

import re

import pytest

from monitoring.paired import Bounds
from monitoring.verdict import Judged, Reason, Verdict
from service.verdict_sentences import CAUSES, SENTENCES
from service.verdict_words import UNKNOWN, Facts, words

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
FACTS = Facts(
    prompt_count=1280,
    prompts_min=256,
    error=3.14,
    ridge=2.9,
    label_power=3.8,
    clipped_share=0.12,
    shift_kind="correlation",
    features=("temp",),
    candidate="recalibrated",
    gain=Bounds(0.62, 0.55, 0.69),
    expected_gain=0.6,
)
TOLD = [*SENTENCES, *((verdict, Reason.HEAVY_TAILS) for verdict in (Verdict.WATCH,))]


def told(verdict=Verdict.RECALIBRATE, reason=Reason.COVARIATE, **others):
    return words(Judged(verdict, reason, "6"), FACTS._replace(**others))


@pytest.mark.parametrize(("verdict", "reason"), TOLD)
def test_every_verdict_has_a_sentence_and_an_advice(verdict, reason):
    for one in told(verdict, reason):
        assert one.en.endswith(".")
        assert one.ja.endswith("。")
        assert JAPANESE.search(one.ja)
        assert not JAPANESE.search(one.en)
        assert not re.search(r"[{}?]|nan|None", one.en + one.ja)


def test_sentences_differ():
    assert len({told(*key)[0].en for key in SENTENCES}) == len(SENTENCES)
    assert len({told(shift_kind=kind)[0].ja for kind in CAUSES}) == len(CAUSES)


def test_a_recalibration_names_what_moved_and_what_it_saves():
    sentence, advice = told()

    assert sentence.en == (
        "Errors are 3.1 times as large as normal because the relation of `temp` to the others "
        "changed."
    )
    assert sentence.ja == (
        "「temp」とほかの特徴量との関係が変わったため、誤差が通常の 3.1 倍になっています。"
    )
    assert advice.en == (
        "A recalibrated model is ready. On kept prompts it saved 62 % of the error "
        "(at least 55 %, with 95 % confidence)."
    )
    assert advice.ja == (
        "再調整したモデルを用意しました。"
        "保存されたプロンプトでは誤差が 62 % 減りました（95 % の信頼度で 55 % 以上）。"
    )


def test_without_kept_prompts_it_has_to_prove_itself():
    _, advice = told(gain=None)

    assert "about 60 %" in advice.en
    assert "prove itself on live prompts" in advice.en
    assert "60 %" in advice.ja


def test_two_names_at_most_and_any_characters():
    sentence, _ = told(features=("a{b}", "c", "d"))

    assert "`a{b}` and `c`" in sentence.en
    assert "「a{b}」と「c」" in sentence.ja
    assert "`d`" not in sentence.en


def test_without_names_it_speaks_of_features():
    sentence, _ = told(features=(), shift_kind="scale")

    assert "because the spread of the features changed" in sentence.en
    assert "特徴量のばらつき" in sentence.ja


def test_no_candidate_is_said():
    _, advice = told(Verdict.FALL_BACK_AND_REPRETRAIN, candidate="", gain=None)

    assert advice.en.startswith("No other version is ready. Pretrain the model again")


def test_large_ratios_have_no_decimals_and_unknown_ones_a_question_mark():
    assert "1235 times" in told(error=1234.56)[0].en
    assert "? times" in told(error=UNKNOWN)[0].en
