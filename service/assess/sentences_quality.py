"""What is said of each finding about the data, in English and Japanese.

Keys are codes of `service.assess.quality`, some with a kind behind them; {} are filled in from
the finding's detail, and its columns are quoted by the page.
"""

Pair = tuple[str, str]

FOUND: dict[str, Pair] = {
    "number_as_text_unit": (
        "Numbers in {column} are written with their unit (“{mark}”), so they are read as text.",
        "{column} の数値に単位（「{mark}」）が付いており、文字として読み込まれています。",
    ),
    "number_as_text_currency": (
        "Numbers in {column} are written with a currency sign (“{mark}”), so they are read as "
        "text.",
        "{column} の数値に通貨記号（「{mark}」）が付いており、文字として読み込まれています。",
    ),
    "number_as_text_thousands": (
        "Numbers in {column} are written with a thousands separator (“{mark}”), so they are read "
        "as text.",
        "{column} の数値に桁区切り（「{mark}」）が入っており、文字として読み込まれています。",
    ),
    "number_as_text_decimal_comma": (
        "Numbers in {column} are written with a decimal comma, so they are read as text.",
        "{column} の数値は小数点がコンマで書かれており、文字として読み込まれています。",
    ),
    "number_as_text_full_width": (
        "Numbers in {column} are written in full-width digits, so they are read as text.",
        "{column} の数値が全角で書かれており、文字として読み込まれています。",
    ),
    "spelling": (
        "{column} writes the same thing in several ways: “{first}” and “{second}”. They are "
        "counted as different ({count} spellings too many).",
        "{column} に表記ゆれがあります（「{first}」と「{second}」など）。"
        "別のものとして扱われています（余分な表記 {count} 種類）。",
    ),
    "total_rows": (
        "{column} holds rows of totals (“{word}”), which are no observations.",
        "{column} に合計などの集計行（「{word}」）が混じっています。これは観測値ではありません。",
    ),
    "missing_word": (
        "{column} says “{word}” where nothing is known ({share} of the rows); it counts as a "
        "value of its own.",
        "{column} では値がわからないことを「{word}」と書いています（行の {share}）。"
        "一つの値として扱われます。",
    ),
    "rare_levels": (
        "{column} has {levels} rare values, which are all treated as “any other” ({share} of the "
        "rows); {kept} are told apart.",
        "{column} にはまれな値が {levels} 種類あり、まとめて「その他」として扱います"
        "（行の {share}）。区別するのは {kept} 種類です。",
    ),
    "sentinel": (
        "The value {value} in {column} ({share} of the rows) looks like a stand-in for “not "
        "known”: all others lie between {low} and {high}.",
        "{column} の値 {value}（行の {share}）は、「不明」の代わりに入れた値と思われます。"
        "ほかの値はすべて {low}〜{high} の範囲です。",
    ),
    "sentinel_zero": (
        "{column} is 0 in {share} of the rows, far below all others ({low} to {high}). Was that "
        "measured, or is it missing?",
        "{column} は行の {share} で 0 です。ほかの値（{low}〜{high}）から大きく離れています。"
        "実際の測定値か、欠損かを確認してください。",
    ),
    "far_values": (
        "{column} holds values far from all others, up to {farthest}: nine of ten lie between "
        "{low} and {high}.",
        "{column} に極端に離れた値があります（最も離れた値は {farthest}）。"
        "値の 9 割は {low}〜{high} の範囲です。",
    ),
    "mixed_units_factor": (
        "{column} seems to mix two units: {share} of the rows differ from the others by a factor "
        "of {factor} (usually {small} against {large}).",
        "{column} に 2 種類の単位が混在しているようです。行の {share} がほかと {factor} 倍"
        "違います（中央の値は {small} と {large}）。",
    ),
    "mixed_units_temperature": (
        "{column} seems to mix °C and °F: {share} of the rows ({small} against {large}).",
        "{column} に摂氏と華氏が混在しているようです（行の {share}、"
        "中央の値は {small} と {large}）。",
    ),
    "missing": (
        "{column} has no value in {share} of the rows; such a cell takes the group’s mean.",
        "{column} は行の {share} で値がありません。空欄はグループの平均値で補います。",
    ),
    "rows_left_out": (
        "{row_count} rows ({share}) were left out: they have no value in {columns}.",
        "{columns} に値のない {row_count} 行（{share}）を除外しました。",
    ),
    "empty_column": ("{column} is empty.", "{column} は空の列です。"),
    "constant_column": (
        "{column} has one value only ({value}) and so tells nothing.",
        "{column} の値は 1 種類（{value}）だけで、予測の手がかりになりません。",
    ),
    "constant_in_groups": (
        "{column} does not vary within {groups} of {group_count} groups, so the examples of a "
        "prompt cannot tell what it does.",
        "{column} は {group_count} グループのうち {groups} グループで値が変化しないため、"
        "プロンプトの事例から影響を読み取れません。",
    ),
    "same_column": (
        "{columns} say the same thing (correlation {correlation}); one of them is enough.",
        "{columns} はほぼ同じ内容です（相関 {correlation}）。どれか 1 列で足ります。",
    ),
    "leak": (
        "{column} is a copy of what is to be predicted (correlation {correlation}). It will not "
        "be known in time, so every figure of this report is too good.",
        "{column} は予測したい値そのものです（相関 {correlation}）。予測の時点ではわからない値の"
        "ため、このレポートの数値は実際より良く出ています。",
    ),
    "leak_near": (
        "{column} follows what is to be predicted very closely (correlation {correlation}). Is "
        "it known before the answer is?",
        "{column} は予測したい値とほぼ連動しています（相関 {correlation}）。"
        "予測の時点で本当にわかる値でしょうか。",
    ),
    "leak_together": (
        "{columns} together add up to what is to be predicted ({explained} of it), so every "
        "figure of this report is too good.",
        "{columns} を合わせると予測したい値になります（{explained} を説明）。"
        "このレポートの数値は実際より良く出ています。",
    ),
    "name_like": (
        "{column} has another whole number in every row ({low} to {high}): it looks like a "
        "number of a row or a receipt, not like a measurement.",
        "{column} は行ごとに異なる整数（{low}〜{high}）です。"
        "測定値ではなく、行番号や伝票番号と思われます。",
    ),
    "repeated_rows": (
        "{row_count} rows ({share}) stand in the file more than once.",
        "同じ内容の行が {row_count} 行（{share}）重複しています。",
    ),
    "short_groups": (
        "{groups} of {group_count} groups have fewer than {wanted} rows and could not be used.",
        "{group_count} グループのうち {groups} グループは {wanted} 行に満たず、使えませんでした。",
    ),
    "constant_label": (
        "In {groups} of {group_count} groups {column} is always the same, so there is nothing to "
        "predict.",
        "{group_count} グループのうち {groups} グループでは {column} が常に同じ値で、"
        "予測するものがありません。",
    ),
    "order_ties": (
        "{column} puts several rows of a group in the same place ({share} of the rows, {groups} "
        "groups), so their order is not known.",
        "{column} の値が同じグループ内で重なっており（行の {share}、{groups} グループ）、"
        "順序が決まりません。",
    ),
    "not_in_order": (
        "Rows were said to be in order, but {column} goes back in time in {groups} of "
        "{group_count} groups ({share} of the steps).",
        "行は時間順との指定ですが、{group_count} グループのうち {groups} グループで {column} が"
        "逆戻りしています（全体の {share}）。",
    ),
    "order_not_told": (
        "{column} rises in {groups} of {group_count} groups, so rows seem to have an order in "
        "time that the command was not told.",
        "{column} は {group_count} グループのうち {groups} グループで増え続けています。"
        "時間の順序があるようですが、指定されていません。",
    ),
    "scale_in_time": (
        "{column} changes its scale by a factor of {factor} from {at} on: usually {before} "
        "before, {after} after.",
        "{column} の大きさが {at} を境に {factor} 倍変わっています"
        "（中央の値は {before} から {after} へ）。",
    ),
    "few_groups": (
        "There are only {groups} groups; {wanted} are needed for figures to rely on.",
        "グループが {groups} 個しかありません。信頼できる数値には {wanted} 個必要です。",
    ),
    "wide": (
        "There are many features ({features}) for so few rows a group ({rows} in the middle one).",
        "1 グループの行数（中央の値で {rows} 行）に対して、特徴量が {features} 個と多すぎます。",
    ),
    "capped_target": (
        "{share} of the rows have exactly the largest value of {column} ({value}): it seems to "
        "be cut off there, so true values may be larger.",
        "{column} は行の {share} が最大値（{value}）ちょうどです。上限で打ち切られており、"
        "本当の値はもっと大きい可能性があります。",
    ),
    "long_tailed_target": (
        "{column} has a long upper tail: the middle value is {middle}, but one in twenty lies "
        "above {high}. A few large values then rule the error.",
        "{column} は大きい側に長く伸びた分布です（中央の値 {middle} に対し、20 件に 1 件は"
        " {high} を超えます）。少数の大きな値が誤差を左右します。",
    ),
    "read_as": (
        "The file is not in UTF-8; it was read as {encoding}.",
        "ファイルの文字コードが UTF-8 ではないため、{encoding} として読み込みました。",
    ),
}
