"""How to mend what was found about the data, in English and Japanese, by the finding's code."""

Pair = tuple[str, str]

FIXES: dict[str, Pair] = {
    "number_as_text": (
        "Write plain digits only, and the unit into the column’s name.",
        "数字だけを半角で入力し、単位は列の名前に書いてください。",
    ),
    "spelling": (
        "Choose one spelling and replace the others.",
        "表記を一つに決め、ほかを置き換えてください。",
    ),
    "total_rows": ("Delete the rows of totals.", "集計行を削除してください。"),
    "missing_word": (
        "Nothing has to be done; leave the cell empty if it should count as missing.",
        "このままでもかまいません。欠損として扱いたい場合は空欄にしてください。",
    ),
    "rare_levels": (
        "Nothing has to be done; join values into larger classes if they matter.",
        "このままでもかまいません。重要な区分であれば、大きな分類にまとめてください。",
    ),
    "sentinel": (
        "Leave the cell empty where nothing is known.",
        "値がわからないところは空欄にしてください。",
    ),
    "far_values": (
        "Look at these rows: correct slips of the keys, leave true values.",
        "該当する行を確認し、入力ミスであれば訂正してください（正しい値はそのままで結構です）。",
    ),
    "mixed_units": (
        "Convert all rows to one unit and write it into the column’s name.",
        "全行を一つの単位にそろえ、単位を列の名前に書いてください。",
    ),
    "missing": (
        "Fill the gaps if the values are known somewhere; else leave the column out.",
        "ほかの記録から補えるなら補い、難しければ列を外してください。",
    ),
    "rows_left_out": (
        "Fill these cells if the values are known.",
        "値がわかるものは入力してください。",
    ),
    "empty_column": ("Remove the column.", "列を削除してください。"),
    "constant_column": ("Leave the column out.", "列を外してください。"),
    "constant_in_groups": (
        "Nothing has to be done; the history of other groups still tells something.",
        "対応は不要です。ほかのグループの履歴からは影響を学べます。",
    ),
    "same_column": (
        "Leave one of them out with --exclude.",
        "--exclude で一方を外してください。",
    ),
    "leak": (
        "Assess again with --exclude and this column, unless it is known before the answer.",
        "予測の時点でわからない値であれば、--exclude でこの列を外して再評価してください。",
    ),
    "leak_together": (
        "Assess again with --exclude and those of the columns that are not known in time.",
        "予測の時点でわからない列を --exclude で外して再評価してください。",
    ),
    "name_like": (
        "Leave the column out with --exclude.",
        "--exclude で列を外してください。",
    ),
    "repeated_rows": (
        "Remove the repetitions, unless the same thing really happened again.",
        "本当に同じことが繰り返されたのでなければ、重複を取り除いてください。",
    ),
    "short_groups": (
        "Collect more rows of these groups, or join groups that resemble each other.",
        "行を追加するか、似たグループをまとめてください。",
    ),
    "constant_label": (
        "Nothing has to be done if that is true; else check how it is recorded.",
        "事実であれば対応は不要です。そうでなければ記録方法を確認してください。",
    ),
    "order_ties": (
        "Use a column with a finer time, or let rows stand in their order and say --in-order.",
        "より細かい時刻の列を使うか、行を順に並べて --in-order を指定してください。",
    ),
    "not_in_order": (
        "Say --order with this column instead of --in-order.",
        "--in-order の代わりに、--order でこの列を指定してください。",
    ),
    "order_not_told": (
        "Assess again with --order and this column: predicting the future is harder than filling "
        "gaps.",
        "--order でこの列を指定して再評価してください（将来の予測は、途中の穴埋めより"
        "難しくなります）。",
    ),
    "scale_in_time": (
        "Find out what changed (unit, meter, currency) and convert the older rows.",
        "何が変わったのか（単位、測定機器、通貨など）を確認し、古い行を換算してください。",
    ),
    "few_groups": (
        "Collect rows of more groups, or choose a finer column as group.",
        "グループを増やすか、より細かく分かれる列をグループに指定してください。",
    ),
    "wide": (
        "Choose the columns that matter with --features.",
        "--features で重要な列だけに絞ってください。",
    ),
    "capped_target": (
        "Use the true values if they are known; answers cannot exceed what was recorded.",
        "本当の値がわかればそれを使ってください。記録された上限を超える予測は学べません。",
    ),
    "long_tailed_target": (
        "Consider predicting the logarithm, if relative errors are what counts.",
        "相対的な誤差が重要であれば、対数に変換した値の予測を検討してください。",
    ),
    "read_as": (
        "Nothing has to be done; check that names below read well.",
        "対応は不要です。以下の名前が文字化けしていないかだけ確認してください。",
    ),
}
