"""The texts of the page, in English and Japanese; {} are filled in, backticks set names apart."""

from service.assess.sentences_pictures import PICTURES
from service.assess.sentences_steps import STEPS

Pair = tuple[str, str]

SUMMARY: dict[str, Pair] = {
    "title": ("Assessment of {name}", "{name} の導入評価"),
    "language": ("Language", "言語"),
    "contents": ("Steps", "目次"),
    "why_go": (
        "On {held_out} groups it had not seen, sonoba’s error is {gap} than that of a plain "
        "average. It typically errs by {typical}.",
        "初めて見る {held_out} グループで、誤差は単純な平均と比べて {gap}でした。"
        "典型的な誤差は {typical} です。",
    ),
    "why_pilot": (
        "On {held_out} groups it had not seen, sonoba’s error is {gap} than that of a plain "
        "average, but points remain that call for a trial first: {count}.",
        "初めて見る {held_out} グループで、誤差は単純な平均と比べて {gap}でした。"
        "ただし、本格導入の前に確かめるべき点が {count} 件あります。",
    ),
    "why_no-go": (
        "What was found speaks against using it on this data as it is.",
        "現状のデータでは、利用をお勧めできない結果でした。",
    ),
    "glance_errors": ("How far answers are off", "予測はどれだけ外れるか"),
    "glance_errors_note": (
        "Error with {count} examples; shorter is better. 0 is perfect, 1 knows nothing.",
        "事例 {count} 件での誤差。短いほど正確です（0 は完全、1 は何も知らない場合）。",
    ),
    "glance_curve": ("How many examples it needs", "事例は何件必要か"),
    "glance_curve_note": (
        "From {count} examples on (dashed line), more of them gain little.",
        "{count} 件（破線）を超えると、増やしても改善はわずかです。",
    ),
    "glance_changes": ("Which changes it bears", "どんな変化に耐えられるか"),
    "glance_changes_note": (
        "One mark for each strength tried, from mild (left) to severe (right).",
        "印は試した強さごとの結果です（左が軽度、右が重度）。",
    ),
    "glance_changes_more": (
        " All kinds are in step 3.",
        "すべての結果はステップ 3 にあります。",
    ),
    "reasons": ("Why", "理由"),
    "reasons_else": ("What else was found", "そのほかにわかったこと"),
    "next": ("What to do next", "次にすること"),
    "speaks_for": ("Speaks for it", "有利な点"),
    "speaks_caution": ("Calls for caution", "注意が必要な点"),
    "speaks_against": ("Speaks against it", "不利な点"),
    "who_sees": (
        "For people who may see the data: names and values of columns stand on this page.",
        "データの閲覧を許可された方のみご覧ください。列の名前と値が記載されています。",
    ),
}
DECISION: dict[str, Pair] = {
    "step4": ("Step 4: the decision", "ステップ 4: 判断"),
    "step4_lead": (
        "One point against makes it a no-go; one caution makes it a pilot; else it is a go.",
        "不利な点が一つでもあれば「見送り」、注意が必要な点があれば「試験導入」、"
        "いずれもなければ「導入可」です。",
    ),
    "arguments": ("What speaks for and against", "判断の根拠"),
    "limits": ("Declared limits", "宣言する限度"),
    "limits_text": (
        "Said before the start, and watched from then on.",
        "導入前に宣言し、導入後はこの範囲を守っているか監視します。",
    ),
    "limit": ("Limit", "項目"),
    "limit_error": ("Typical error", "典型的な誤差"),
    "limit_ratio": (
        "Squared error over normal from where it counts as harm",
        "悪化とみなす二乗誤差（通常との比）",
    ),
    "so_many_times": ("{value} times", "{value} 倍"),
    "limit_squared": (
        "{value} times (typical error {root} times)",
        "{value} 倍（典型的な誤差では {root} 倍）",
    ),
    "limit_coverage": (
        "Truths within the 80% intervals, at least",
        "80% 区間に実際の値が入る割合（下限）",
    ),
    "limit_examples": ("Examples in a prompt, at least", "プロンプトの事例数（下限）"),
    "examples_count": ("{count}", "{count} 件"),
    "ranges": ("Ranges to trust", "信頼できる値の範囲"),
    "ranges_text": (
        "Do not trust the answer to a row with a value outside of these.",
        "値がこの範囲を外れた行の回答は、信頼しないでください。",
    ),
    "watch": ("What to watch", "運用中に確認すること"),
    "cost_h": ("What it costs", "費用"),
    "cost_text": (
        "Measured on the machine that made this report, on one core.",
        "このレポートを作成したコンピューターの 1 コアで測定しました。",
    ),
    "what": ("What", "項目"),
    "cost_one": (
        "Processor time of one prediction ({count} examples)",
        "予測 1 件の計算時間（事例 {count} 件）",
    ),
    "cost_million": ("A million predictions", "予測 100 万件"),
    "cpu_hours": ("{value} CPU hours", "{value} CPU 時間"),
    "cost_memory": ("Memory", "メモリー"),
    "cost_learning": ("Learning from the history, once", "履歴からの学習（1 回）"),
    "rules_h": ("Business rules, ready to use", "業務ルール（そのまま使えます）"),
    "rules_text": (
        "Save this as a file; `sonoba rules check` reads it, and the re-evaluator keeps to it.",
        "ファイルに保存して使います。`sonoba rules check` で確認でき、再評価の判断基準になります。",
    ),
    "glossary_h": ("Glossary, and how this was made", "用語と作成方法"),
    "made_h": ("How this report was made", "このレポートの作成方法"),
    "made_text": (
        "The same file, command, seed and version give the same figures, apart from times.",
        "同じファイル、コマンド、シード、バージョンであれば、時間の測定を除いて同じ結果になります。",
    ),
    "made_on": ("Made on", "作成日時"),
    "made_source": ("File", "ファイル"),
    "made_seed": ("Seed", "シード"),
    "made_version": ("Version", "バージョン"),
    "made_took": ("Took", "所要時間"),
}
LABELS: dict[str, Pair] = {**SUMMARY, **STEPS, **DECISION, **PICTURES}
