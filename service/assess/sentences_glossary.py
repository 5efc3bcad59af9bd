"""The glossary of an assessment, English and Japanese side by side."""

Pair = tuple[str, str]

GLOSSARY: tuple[tuple[Pair, Pair], ...] = (
    (
        ("Prompt", "プロンプト"),
        (
            "One request: a few examples with known answers, and queries to be answered.",
            "1 回の依頼。正解のわかっている事例と、予測してほしいクエリからなります。",
        ),
    ),
    (
        ("Example, query", "事例、クエリ"),
        (
            "A row whose answer is known; a row whose answer is asked for.",
            "正解のわかっている行が事例、答えを求める行がクエリです。",
        ),
    ),
    (
        ("Group", "グループ"),
        (
            "What belongs together, such as a shop or a week. A prompt never mixes groups.",
            "店舗や週など、ひとまとまりの行。プロンプトには一つのグループの行だけを使います。",
        ),
    ),
    (
        ("Held-out group", "検証用グループ"),
        (
            "A group kept back from learning, so that it tests what is new to sonoba.",
            "学習に使わず、初めて見るデータとして検証に使うグループです。",
        ),
    ),
    (
        ("Error", "誤差"),
        (
            "How far answers lie from the truth, by how much the examples’ known answers vary. "
            "0 is perfect; 1 is as bad as knowing nothing.",
            "回答と実際の値のずれを、事例の正解値のばらつきで割ったもの。0 が完全、"
            "1 は何も知らない場合と同じです。",
        ),
    ),
    (
        ("95% bounds", "95% の範囲"),
        (
            "Where the true figure lies in 95 cases of 100; few groups make them wide.",
            "本当の値が 100 回中 95 回入る範囲。グループが少ないと広くなります。",
        ),
    ),
    (
        ("Interval, coverage", "予測区間、被覆率"),
        (
            "A range that comes with an answer; coverage is how often the truth lies in it.",
            "回答に添える値の範囲が予測区間、実際の値がそこに入る割合が被覆率です。",
        ),
    ),
    (
        ("Profile", "プロファイル"),
        (
            "What was learnt from the history of all groups, and helps to read a few examples.",
            "全グループの履歴から学んだ傾向。少ない事例から答えを導くのに使います。",
        ),
    ),
    (
        ("Foundation model", "基盤モデル"),
        (
            "The model that knows no history; it answers where the profile does not.",
            "履歴を使わないモデル。プロファイルが答えられないときに回答します。",
        ),
    ),
    (
        ("Line fitted per prompt", "プロンプトごとの直線"),
        (
            "Ridge regression tuned on the examples of one prompt alone, without any history.",
            "一つのプロンプトの事例だけで調整したリッジ回帰。履歴は使いません。",
        ),
    ),
    (
        ("Gradient boosting", "勾配ブースティング"),
        (
            "A common method that learns from the same history and has to be trained anew.",
            "同じ履歴から学習する一般的な手法。データが変わると再学習が必要です。",
        ),
    ),
    (
        ("Alert, refusal", "警報、拒否"),
        (
            "An alert tells people that answers got worse; a refusal gives no answer, and why.",
            "警報は回答の悪化を担当者に知らせるもの、拒否は理由を示して回答しないことです。",
        ),
    ),
)
