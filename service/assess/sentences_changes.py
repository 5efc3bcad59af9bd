"""What is said of worst groups, steadiness, changed conditions and alerts, in both languages.

Keys are codes of `service.assess.worst`, `steadiness` and `conditions`.
"""

Pair = tuple[str, str]

STEADINESS: dict[str, Pair] = {
    "reordered": ("Another order", "順番を変える"),
    "resampled": ("Other examples", "別の事例を使う"),
    "one_dropped": ("One example less", "1 件減らす"),
    "fifth_dropped": ("A fifth less", "2 割減らす"),
}

WORST: dict[str, Pair] = {
    "unlike_history_feature_above": (
        "Its {column} lies above what was learnt from: {middle} on average, usually {usual}.",
        "{column} が学習した範囲より高い水準です（平均 {middle}、通常は {usual}）。",
    ),
    "unlike_history_feature_below": (
        "Its {column} lies below what was learnt from: {middle} on average, usually {usual}.",
        "{column} が学習した範囲より低い水準です（平均 {middle}、通常は {usual}）。",
    ),
    "unlike_history_feature_around": (
        "Its {column} varies far more than what was learnt from (on average {middle}, usually "
        "{usual}).",
        "{column} のばらつきが学習した範囲より大きくなっています"
        "（平均 {middle}、通常は {usual}）。",
    ),
    "unlike_history_target_above": (
        "What is to be predicted is larger here than in what was learnt from: {middle} on "
        "average, usually {usual}.",
        "予測する値が学習した範囲より大きいグループです（平均 {middle}、通常は {usual}）。",
    ),
    "unlike_history_target_below": (
        "What is to be predicted is smaller here than in what was learnt from: {middle} on "
        "average, usually {usual}.",
        "予測する値が学習した範囲より小さいグループです（平均 {middle}、通常は {usual}）。",
    ),
    "unlike_history_target_around": (
        "What is to be predicted varies far more here than in what was learnt from.",
        "予測する値のばらつきが、学習した範囲より大きいグループです。",
    ),
    "noisy_noise": (
        "Its labels are noisier: even the best line through all of its rows misses by {noise}, "
        "in a usual group by {usual_noise}.",
        "値のばらつきが大きいグループです。全行に最もよく合う直線でも {noise} ずれます"
        "（通常のグループでは {usual_noise}）。",
    ),
    "noisy_little_to_tell": (
        "There is little to predict: what is to be predicted varies by {label_spread} here, in a "
        "usual group by {usual_label_spread}.",
        "予測する値の変動が小さく（{label_spread}、通常のグループは {usual_label_spread}）、"
        "当てる余地がほとんどありません。",
    ),
    "shifted": (
        "It follows a relation of its own: {column} works differently here than in other groups.",
        "ほかのグループとは関係が異なり、{column} の影響の仕方が違います。",
    ),
    "few_rows_few_judged": (
        "Its error rests on few rows ({judged} beside the examples of a prompt), so it may be "
        "chance.",
        "誤差の判定に使えた行が少なく（事例を除いて {judged} 行）、偶然の可能性があります。",
    ),
    "few_rows_fewer_examples": (
        "It has too few rows ({rows}): its prompts had {examples} examples in place of "
        "{usual_examples}, and its error rests on {judged} rows.",
        "行数が少ない（{rows} 行）ためです。プロンプトの事例は {usual_examples} 件ではなく"
        " {examples} 件で、誤差の判定に使えたのは {judged} 行です。",
    ),
    "unexplained": (
        "The numbers do not tell why; it may be chance.",
        "数値からは理由がわかりません。偶然の可能性もあります。",
    ),
}

CHANGES: dict[str, Pair] = {  # the kind of change, as heads and the summary name it
    "scale": ("Everything varies more", "全体の変動が大きくなる"),
    "mean": ("Everything is higher", "全体の水準が上がる"),
    "rotation": ("Columns relate differently", "列どうしの関係が変わる"),
    "correlation": ("Columns move together more", "列どうしの相関が強まる"),
    "label_noise": ("Labels become noisier", "正解値のばらつきが増える"),
    "feature_noise": ("Measurements become noisier", "測定の誤差が増える"),
    "missing": ("A column is missing", "列の値が届かない"),
    "missing_category": ("A category is missing", "区分の値が届かない"),
    "wrong_unit": ("A column in another unit", "列の単位が変わる"),
    "wrong_unit_some": ("Some rows in another unit", "一部の行の単位が違う"),
    "fahrenheit": ("°F in place of °C", "摂氏が華氏になる"),
    "fahrenheit_some": ("°F in some rows", "一部の行が華氏になる"),
    "fewer_examples": ("Fewer examples", "事例が減る"),
    "stale_groups": ("An old history", "履歴が古くなる"),
    "stale_rows": ("An old history of each group", "各グループの履歴が古くなる"),
}

STRENGTHS: dict[str, Pair] = {  # how strong, and of which column, beside the kind
    "scale": ("{factor} times as far", "変動 {factor} 倍"),
    "mean": ("by {factor} × the usual spread", "標準偏差の {factor} 倍分"),
    "rotation": ("turned by {factor}°", "{factor}° の回転"),
    "correlation": ("{share} in common", "共通の動き {share}"),
    "label_noise": ("{factor} times the scatter", "ばらつき {factor} 倍"),
    "feature_noise": ("by {factor} × the usual spread", "標準偏差の {factor} 倍分"),
    "missing": ("{column}, {share} of rows", "{column}、行の {share}"),
    "missing_category": ("{column}, {share} of rows", "{column}、行の {share}"),
    "wrong_unit": ("{column}, × {factor}", "{column}、{factor} 倍"),
    "wrong_unit_some": ("{column}, × {factor}", "{column}、{factor} 倍"),
    "fahrenheit": ("{column}", "{column}"),
    "fahrenheit_some": ("{column}", "{column}"),
    "fewer_examples": ("{count} remain", "残り {count} 件"),
    "stale_groups": ("learnt from the oldest {share}", "最も古い {share} から学習"),
    "stale_rows": ("learnt from the first half", "前半だけから学習"),
}

ABOUT: dict[str, Pair] = {  # what was done, in the table
    "scale": (
        "Every column lies further from its usual value; what is to be predicted follows.",
        "すべての列が普段の値から大きく離れ、予測する値もそれに従います。",
    ),
    "mean": (
        "Every column is higher than usual; what is to be predicted follows.",
        "すべての列が普段より高くなり、予測する値もそれに従います。",
    ),
    "rotation": (
        "Columns are mixed with each other at random; what is to be predicted follows.",
        "列を互いに混ぜ合わせ、予測する値もそれに従います。",
    ),
    "correlation": (
        "Part of each column’s movement becomes common to all.",
        "各列の動きの一部が、全列に共通の動きになります。",
    ),
    "label_noise": (
        "The answers known in the examples scatter more; the truth is unchanged.",
        "事例の正解値のばらつきが増えます（真の値は同じです）。",
    ),
    "feature_noise": (
        "Every column is measured less exactly; the truth is unchanged.",
        "すべての列の測定が不正確になります（真の値は同じです）。",
    ),
    "missing": (
        "The column comes without values, and the service fills the gaps as the caller asked. "
        "Without that option such a prompt is refused and the field named.",
        "列の値が空で届き、呼び出し側の指定に従ってサービスが補います。"
        "指定がなければ、列名を示して拒否します。",
    ),
    "missing_category": (
        "The category comes without a value and counts as “any other”, without a warning.",
        "区分が空で届き、「その他」として扱われます（警告は出ません）。",
    ),
    "wrong_unit": (
        "The column comes in another unit in all rows; the truth is unchanged.",
        "全行で列の単位が変わります（真の値は同じです）。",
    ),
    "wrong_unit_some": (
        "The column comes in another unit in one row of ten.",
        "10 行に 1 行だけ、列の単位が変わります。",
    ),
    "fahrenheit": ("The column comes in °F in all rows.", "全行で列の値が華氏になります。"),
    "fahrenheit_some": (
        "The column comes in °F in one row of ten.",
        "10 行に 1 行だけ、列の値が華氏になります。",
    ),
    "fewer_examples": (
        "Callers send fewer examples than were judged on.",
        "呼び出し側が送る事例の数が減ります。",
    ),
    "stale_groups": (
        "Learnt from the oldest groups and judged on the newest, beside one that learnt from "
        "the groups just before them.",
        "最も古いグループから学習して最新のグループで評価し、直前のグループから学習した"
        "場合と比べます。",
    ),
    "stale_rows": (
        "Learnt from the first half of every group’s rows and judged on the second half of other "
        "groups, beside one that learnt from second halves.",
        "各グループの前半から学習してほかのグループの後半で評価し、後半から学習した場合と比べます。",
    ),
}

ALERTS: dict[str, Pair] = {
    "SonobaErrorInflationCritical": ("Errors far above normal", "誤差が通常を大幅に超過"),
    "SonobaErrorInflationMajor": ("Errors clearly above normal", "誤差が通常を明らかに超過"),
    "SonobaErrorInflationWarning": ("Errors above normal", "誤差が通常を超過"),
    "SonobaRelativeHarm": ("Errors grew beside a simple fit", "単純な方法と比べて誤差が増加"),
    "SonobaShortContexts": ("Too few examples in prompts", "プロンプトの事例が不足"),
    "SonobaClippedPrompts": ("Wild values in prompts", "プロンプトに極端な値"),
    "SonobaCovariatesMoved": ("Columns moved", "列の値が変化"),
    "SonobaMonitorStalled": ("The profile answers no more", "プロファイルが回答していない"),
}
SEVERITIES: dict[str, Pair] = {
    "critical": ("calls somebody at once", "至急の連絡"),
    "warning": ("tells in working hours", "業務時間内に連絡"),
    "information": ("shown only, calls nobody", "表示のみ（連絡なし）"),
}
