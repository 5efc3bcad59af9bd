"""The sentences of verdicts, in both languages; `service.verdict_words` fills them in."""

from monitoring.verdict import Reason, Verdict
from service.words import Words

CANDIDATES = {
    "recalibrated": Words(en="A recalibrated model", ja="再調整したモデル"),
    "repretrained": Words(en="A model pretrained again", ja="事前学習をやり直したモデル"),
    "foundation": Words(
        en="The foundation model, which needs no history,",
        ja="履歴を必要としない基盤モデル（foundation）",
    ),
}
CAUSES = {
    "mean": Words(
        en="because {names} moved to other values",
        ja="{names}の値の水準が変わったため、",
    ),
    "scale": Words(
        en="because the spread of {names} changed",
        ja="{names}のばらつきが変わったため、",
    ),
    "correlation": Words(
        en="because the relation of {names} to the others changed",
        ja="{names}とほかの特徴量との関係が変わったため、",
    ),
    "task": Words(
        en="because labels follow {names} in another way than they did",
        ja="{names}とラベルとの関係が変わったため、",
    ),
    "query": Words(
        en="because queries lie further out than their examples, mostly by {names}",
        ja="主に{names}で、問い合わせが事例の範囲から外れているため、",
    ),
    "context_length": Words(
        en="because prompts bring fewer examples than they did",
        ja="プロンプトの事例数が減ったため、",
    ),
    "tail": Words(
        en="because single rows lie far out",
        ja="大きく外れた行が混じるようになったため、",
    ),
    "": Words(
        en="because prompts are no longer what the model was made for",
        ja="プロンプトの内容がモデルの前提から変わったため、",
    ),
}
SENTENCES = {
    (Verdict.INSUFFICIENT, Reason.FEW_PROMPTS): Words(
        en="There were {n} prompts to judge by; {least} are needed.",
        ja="判定に使えるプロンプトは {n} 件でした（{least} 件必要です）。",
    ),
    (Verdict.QUARANTINE, Reason.BAD_ROWS): Words(
        en="A few sources send rows far outside anything known: {clipped} of the prompts are hit.",
        ja="ごく一部の送信元から、想定を大きく外れた行が届いています（プロンプトの {clipped}）。",
    ),
    (Verdict.KEEP, Reason.NONE): Words(
        en="The model is as good as it was: its errors are {error} times what is normal.",
        ja="モデルの精度は保たれています。誤差は通常の {error} 倍です。",
    ),
    (Verdict.WATCH, Reason.COVARIATE): Words(
        en="Errors are {error} times as large as normal {cause}. Nothing that was tried makes them "
        "smaller, and they are not large enough to act on.",
        ja="{cause}誤差が通常の {error} 倍になっています。"
        "試した方法では小さくなりませんが、対処が必要なほど大きくはありません。",
    ),
    (Verdict.RECALIBRATE, Reason.OPPORTUNITY): Words(
        en="Nothing is wrong, but on these prompts a recalibrated model would err {gain} less.",
        ja="問題は起きていませんが、再調整すれば今のプロンプトでの誤差を {gain} 減らせます。",
    ),
    (Verdict.RECALIBRATE, Reason.COVARIATE): Words(
        en="Errors are {error} times as large as normal {cause}.",
        ja="{cause}誤差が通常の {error} 倍になっています。",
    ),
    (Verdict.RECALIBRATE_AND_REPRETRAIN, Reason.COVARIATE): Words(
        en="Errors are {error} times as large as normal {cause}. A recalibration helps, but not "
        "enough.",
        ja="{cause}誤差が通常の {error} 倍になっています。"
        "再調整で改善しますが、十分ではありません。",
    ),
    (Verdict.FALL_BACK_AND_REPRETRAIN, Reason.COVARIATE): Words(
        en="Errors are {error} times as large as normal {cause}, and recalibrating the model does "
        "not help.",
        ja="{cause}誤差が通常の {error} 倍になっており、再調整では改善しません。",
    ),
    (Verdict.TELL_BUSINESS, Reason.NOISE): Words(
        en="The labels became noisier: errors are {error} times as large as normal, and those of "
        "an exact fit to each prompt {ridge} times. No training can help.",
        ja="ラベルのばらつきが大きくなりました。誤差は通常の {error} 倍で、"
        "各プロンプトに厳密に当てはめても {ridge} 倍です。学習し直しても改善しません。",
    ),
    (Verdict.TELL_BUSINESS, Reason.TARGET_SCALE): Words(
        en="The labels are on another scale: their power is {power} times what it was, and with it "
        "errors are {error} times as large as normal.",
        ja="ラベルの大きさが変わりました。二乗平均が以前の {power} 倍になり、"
        "それに伴って誤差も通常の {error} 倍になっています。",
    ),
    (Verdict.TELL_CALLER, Reason.QUERY_ONLY): Words(
        en="Queries lie further out than the examples that come with them: answers to them err "
        "about {error} times as much as normal.",
        ja="問い合わせが、添えられた事例の範囲から外れています。"
        "その回答の誤差は通常の約 {error} 倍と見込まれます。",
    ),
    (Verdict.TELL_CALLER, Reason.LITTLE_INFORMATION): Words(
        en="Prompts bring fewer or less varied examples than they did, and no model could do "
        "better on them.",
        ja="プロンプトの事例が以前より少ないか、偏っています。"
        "どのモデルでもこれ以上は改善しません。",
    ),
}
ADVICE = {
    Verdict.INSUFFICIENT: Words(
        en="Ask again when more prompts have come; the version in force stays.",
        ja="プロンプトが増えてから、もう一度依頼してください。使用中のバージョンはそのままです。",
    ),
    Verdict.QUARANTINE: Words(
        en="Ask those callers to check their data; then look again. The version in force stays.",
        ja="該当する送信元にデータの確認を依頼し、その後に再評価してください。"
        "使用中のバージョンはそのままです。",
    ),
    Verdict.KEEP: Words(en="Nothing has to be done.", ja="対応は不要です。"),
    Verdict.WATCH: Words(
        en="Leave the version in force and look again when more prompts have come.",
        ja="使用中のバージョンのまま様子を見て、プロンプトが増えたら再評価してください。",
    ),
    Verdict.RECALIBRATE: Words(en="{ready}", ja="{ready}"),
    Verdict.RECALIBRATE_AND_REPRETRAIN: Words(
        en="{ready} Pretrain the model again on rows of the present, too.",
        ja="{ready}あわせて、現在のデータで事前学習をやり直してください。",
    ),
    Verdict.FALL_BACK_AND_REPRETRAIN: Words(
        en="{ready} Pretrain the model again on rows of the present.",
        ja="{ready}現在のデータで事前学習をやり直してください。",
    ),
    Verdict.TELL_BUSINESS: Words(
        en="Find out with those who record the labels what changed; another model would not help.",
        ja="ラベルを記録している部門に、何が変わったのかを確認してください。"
        "モデルを替えても改善しません。",
    ),
    Verdict.TELL_CALLER: Words(
        en="Ask callers for more examples a prompt, and for examples near what they ask about.",
        ja="送信元に、事例を増やし、問い合わせに近い事例を含めるよう依頼してください。",
    ),
}
