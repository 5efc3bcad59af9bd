"""What the codes of a report mean in words, and its glossary, English and Japanese side by side."""

from service.words import Words

CODES: dict[str, tuple[str, str]] = {
    "verdict_KEEP": ("Keep", "現状維持"),
    "verdict_WATCH": ("Keep and watch", "維持して経過観察"),
    "verdict_RECALIBRATE": ("Recalibrate", "再調整"),
    "verdict_RECALIBRATE_AND_REPRETRAIN": (
        "Recalibrate now, re-pretrain next",
        "再調整のうえ再学習",
    ),
    "verdict_FALL_BACK_AND_REPRETRAIN": (
        "Fall back to a simpler model, re-pretrain",
        "簡易なモデルに切り替え、再学習",
    ),
    "verdict_TELL_BUSINESS": ("Tell the business", "業務担当に連絡"),
    "verdict_TELL_CALLER": ("Tell the caller", "呼び出し側に連絡"),
    "verdict_QUARANTINE": ("Set bad rows aside", "異常な行を除外"),
    "verdict_INSUFFICIENT": ("Too little to judge", "件数不足で判定できず"),
    "reason_NONE": ("nothing is wrong", "異常なし"),
    "reason_COVARIATE": (
        "the inputs, or how labels follow them, have changed",
        "入力、または入力とラベルの関係が変わった",
    ),
    "reason_OPPORTUNITY": ("answers could be better", "改善の余地がある"),
    "reason_NOISE": ("labels became noisier", "ラベルのばらつきが増えた"),
    "reason_TARGET_SCALE": ("labels are on another scale", "ラベルの尺度が変わった"),
    "reason_QUERY_ONLY": (
        "queries lie outside the examples sent with them",
        "クエリが、一緒に送られた事例の範囲から外れている",
    ),
    "reason_LITTLE_INFORMATION": (
        "prompts bring too few, or too similar, examples",
        "事例が少ないか、偏っている",
    ),
    "reason_HEAVY_TAILS": ("single rows lie far out", "極端に離れた行が混ざっている"),
    "reason_BAD_ROWS": ("a few sources send wild rows", "一部の送信元が異常な行を送っている"),
    "reason_FEW_PROMPTS": ("there were too few prompts", "件数が足りない"),
    "action_NOTHING": ("nothing", "何もしない"),
    "action_TELL": ("tell people", "担当者に連絡"),
    "action_PROPOSE": ("propose the new version to a person", "新しい版を担当者に提案"),
    "action_SHADOW": ("try the new version beside the old one", "新しい版を並行して試験"),
    "action_PROMOTE": ("put the new version in force", "新しい版に切り替え"),
    "action_WAIT": ("wait for more prompts", "件数が増えるのを待つ"),
    "action_REJECT": ("turn the new version down", "新しい版を採用しない"),
    "action_ROLL_BACK": ("take the new version back", "新しい版を取り消す"),
    "state_ASKED": ("Asked for", "依頼"),
    "state_GATHERING": ("Collecting from the servers", "サーバーから収集"),
    "state_JUDGED": ("Judged", "判定"),
    "state_SHADOWING": ("Tried beside the old version", "並行して試験"),
    "state_PROMOTING": ("Put in force", "切り替え"),
    "state_WATCHING": ("Watched live", "経過を監視"),
    "state_DONE": ("Done", "完了"),
    "state_FAILED": ("Could not be finished", "中断"),
    "state_REJECTED": ("Turned down", "不採用"),
    "state_ROLLED_BACK": ("Taken back", "取り消し"),
    "state_PROPOSED": ("Waiting for approval", "承認待ち"),
    "candidate_served": ("Version in force", "使用中の版"),
    "candidate_recalibrated": ("Recalibrated", "再調整した版"),
    "candidate_repretrained": ("Re-pretrained", "再学習した版"),
    "candidate_foundation": ("Foundation model", "基盤モデル"),
    "candidate_ridge": ("Ridge regression", "リッジ回帰"),
    "evidence_sums": ("sums of all prompts", "全件の集計値"),
    "evidence_reservoir": ("prompts kept for this", "保存したプロンプト"),
    "evidence_shadow": ("live prompts, in shadow", "実際のプロンプト（並行試験）"),
    "kind_mean": ("averages", "平均"),
    "kind_scale": ("spread", "ばらつき"),
    "kind_correlation": ("how columns go together", "列どうしの相関"),
    "kind_context_length": ("number of examples", "事例の数"),
    "kind_query": ("queries", "クエリ"),
    "kind_task": ("how labels follow the columns", "列とラベルの関係"),
    "kind_tail": ("outliers", "外れ値"),
    "ratio_ridge": ("Ridge regression on the same prompts", "同じプロンプトでのリッジ回帰"),
    "ratio_label_power": ("Size of the labels", "ラベルの大きさ"),
    "ratio_best": ("Least error any method could reach", "どの方法でも到達しうる最小誤差"),
    "ratio_length_effect": ("Effect of the number of examples", "事例の数の影響"),
    "ratio_clipped_share": ("Share of wild prompts", "極端なプロンプトの割合"),
}

GLOSSARY: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (
        ("Prompt", "プロンプト"),
        (
            "One request: a few examples with known answers, and a query to be predicted.",
            "1 回の依頼。答えのわかっている事例と、予測してほしいクエリからなります。",
        ),
    ),
    (
        ("Column", "列"),
        (
            "One of the inputs of an example, such as a temperature; also called feature.",
            "事例の入力項目の一つ（気温など）。特徴量とも呼びます。",
        ),
    ),
    (
        ("Normal", "通常（参照）"),
        (
            "How large errors were on the data with which the version was accepted: its reference.",
            "そのバージョンを採用したときのデータでの誤差の大きさ。参照とも呼びます。",
        ),
    ),
    (
        ("Error over normal", "通常と比べた誤差"),
        (
            "Mean squared error divided by normal: 1 is as usual, 2 is twice as wrong.",
            "平均二乗誤差を通常の値で割ったもの。1 は普段どおり、2 は 2 倍悪いという意味です。",
        ),
    ),
    (
        ("Measured on labels", "正解値で実測"),
        (
            "Each example is predicted from the others of its prompt and compared with its known "
            "answer (leave-one-out).",
            "各事例を同じプロンプトの残りの事例から予測し、正解と比べた誤差です（一つ抜き法）。",
        ),
    ),
    (
        ("Expected from the inputs", "入力から予測"),
        (
            "How large the error of an answer is likely to be, computed without knowing any label.",
            "正解を使わずに計算した、回答の誤差の見込みです。",
        ),
    ),
    (
        ("90 % interval", "90% 区間"),
        (
            "The true value lies inside it in nine cases of ten; the more prompts, the shorter.",
            "真の値が 10 回中 9 回入る範囲。件数が多いほど短くなります。",
        ),
    ),
    (
        ("Recalibrate, re-pretrain", "再調整・再学習"),
        (
            "Recalibrating adapts a version to the present inputs within a second; re-pretraining "
            "learns a new one from history.",
            "再調整は現在の入力に合わせて既存の版を短時間で直すこと、再学習は"
            "履歴から新しい版を作ることです。",
        ),
    ),
    (
        ("Shadow", "並行試験"),
        (
            "The new version answers the same live prompts beside the old one; callers see only "
            "the old answers.",
            "新しい版にも実際のプロンプトに回答させ、旧版と比べること。利用者には"
            "旧版の回答だけを返します。",
        ),
    ),
    (
        ("Share of harm", "悪化への寄与"),
        (
            "Which part of the additional error would vanish if this column alone were as before.",
            "その列だけが元どおりだったら消える、増えた誤差の割合です。",
        ),
    ),
)


def verdict_words(verdict: str) -> Words:
    """Return a verdict in words; a code that has none stays."""
    english, japanese = CODES.get(f"verdict_{verdict}", (verdict, verdict))
    return Words(en=english, ja=japanese)


def in_short(verdict: str, reason: str) -> Words:
    """Return a verdict and its reason in words that name no feature; codes without words stay.

    >>> in_short("TELL_BUSINESS", "NOISE").en
    'Tell the business: labels became noisier.'
    """
    what = verdict_words(verdict)
    english, japanese = CODES.get(f"reason_{reason}", (reason, reason))
    return Words(en=f"{what.en}: {english}.", ja=f"{what.ja}（{japanese}）。")
