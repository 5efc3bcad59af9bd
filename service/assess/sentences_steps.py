"""The texts of steps 1 to 3 of the page, in English and Japanese."""

Pair = tuple[str, str]

STEPS: dict[str, Pair] = {
    # step 1
    "step1": ("Step 1: what the data offers", "ステップ 1: データから何がわかるか"),
    "step1_lead": (
        "{source}: {rows} rows, {used} of them used, in {groups} groups. sonoba learnt from "
        "{learnt} groups; the other {held_out} were kept back to test it.",
        "{source} の {rows} 行（うち使用 {used} 行）、{groups} グループ。"
        "{learnt} グループから学習し、残る {held_out} グループを検証に使いました。",
    ),
    "what_prompt": ("What a prompt is", "プロンプトとは"),
    "prompt_text": (
        "A prompt is a few rows of one {group} with their known {target}, drawn at random, and "
        "up to {queries} further rows to answer. For the test their answers were hidden.",
        "同じ {group} から無作為に選んだ {target} のわかっている数行と、"
        "答えを求める最大 {queries} 行です。検証では、その答えを隠して予測させました。",
    ),
    "prompt_text_ordered": (
        "A prompt is a few rows of one {group} that follow each other, with their known "
        "{target}, and up to {queries} rows that come next. For the test their answers were "
        "hidden.",
        "同じ {group} で連続する {target} のわかっている数行と、"
        "それに続く最大 {queries} 行です。検証では、その答えを隠して予測させました。",
    ),
    "how_many": ("How many examples a prompt needs", "事例は何件必要か"),
    "knee_text": (
        "{count} examples are enough: more of them gain little.",
        "事例は {count} 件で十分です。それ以上増やしても改善はわずかです。",
    ),
    "knee_none": (
        "No number of examples could be named as enough.",
        "十分といえる事例の数は特定できませんでした。",
    ),
    "curve_note": (
        "Middle error of {count} prompts; the band is where sonoba’s error lies with 95% "
        "confidence.",
        "{count} 件のプロンプトの中央値。帯は sonoba の誤差の 95% の範囲です。",
    ),
    "curve_none": (
        "No group that was kept back is long enough to tell.",
        "検証用のグループが短く、測定できませんでした。",
    ),
    "quality": ("Quality of the data", "データの品質"),
    "quality_lead": (
        "What should be repaired comes first, then what is good to know.",
        "直すべき点、知っておくべき点の順に示します。",
    ),
    "quality_none": (
        "Nothing was found that a person should know or repair.",
        "直すべき点、注意すべき点は見つかりませんでした。",
    ),
    "weight_repair": ("Repair", "要修正"),
    "weight_know": ("Good to know", "参考"),
    "first_row": ("First in row {row}.", "最初に見つかった行: {row} 行目。"),
    "examples_are": ("In the file:", "ファイルでの表記:"),
    "fix": ("What to do:", "対応:"),
    "notices": ("Notices of the reader", "読み込み時のメッセージ（英語）"),
    "columns": ("Columns", "列"),
    "columns_caption": (
        "The target first; low and high are the smallest and the largest value.",
        "先頭は予測する列。最小と最大は、その列の最小値と最大値です。",
    ),
    "kind_of": ("Kind", "種類"),
    "kind_number": ("number", "数値"),
    "kind_category": ("category", "区分"),
    "kind_date": ("date", "日付"),
    "low": ("Low", "最小"),
    "middle": ("Middle", "中央"),
    "high": ("High", "最大"),
    "distribution": ("Distribution", "分布"),
    "missing_share": ("Missing", "欠損"),
    "target": ("to predict", "予測する列"),
    "not_used": ("not used", "不使用"),
    "days_span": ("over {days} days", "{days} 日間"),
    "levels_more": ("{names} and {count} more", "{names} ほか {count} 種類"),
    "groups": ("Groups and their lengths", "グループとその長さ"),
    "groups_text": (
        "{groups} groups by {group}: the shortest has {shortest} rows, the middle one {middle}, "
        "the longest {longest}.",
        "{group} ごとに {groups} グループ。行数は最短 {shortest}、中央 {middle}、"
        "最長 {longest} です。",
    ),
    # step 2
    "step2": ("Step 2: is the answer stable?", "ステップ 2: 回答は安定しているか"),
    "step2_lead": (
        "Everything here was measured on {held_out} groups that sonoba had not seen.",
        "すべて、学習に使っていない {held_out} グループで測定した結果です。",
    ),
    "errors_beside": ("How exact it is beside other ways", "ほかの方法と比べた正確さ"),
    "typical_text": (
        "With {count} examples it typically errs by {typical}; 80% of the answers err by less "
        "than {within}.",
        "事例 {count} 件での典型的な誤差は {typical} です。回答の 80% は、誤差が {within} 未満"
        "でした。",
    ),
    "ratios": ("sonoba’s error by that of other ways", "sonoba の誤差 ÷ ほかの方法の誤差"),
    "ratios_note": (
        "Left of 1 sonoba errs less. Bars are 95% bounds; a hollow mark may be chance.",
        "1 より左なら sonoba の誤差が小さいことを示します。線は 95% の範囲、"
        "白抜きは偶然かもしれないものです。",
    ),
    "errors_table": ("Errors by number of examples", "事例の数ごとの誤差"),
    "errors_caption": (
        "Error (1 = knows nothing); below it sonoba’s error against that method, with 95% bounds.",
        "誤差（1 = 何も知らない場合）。下段は、その方法と比べた sonoba の誤差と 95% の範囲です。",
    ),
    "with_examples": ("{count} examples", "事例 {count} 件"),
    "typical_row": ("sonoba’s typical error ({unit})", "sonoba の典型的な誤差（{unit}）"),
    "within_row": ("80% err by less than ({unit})", "80% の回答の誤差がこれ未満（{unit}）"),
    "covered_row": (
        "Truths within the {level} intervals; their half width",
        "{level} の区間に入った割合と、区間の半幅",
    ),
    "bounds_alone": ("{low} to {high}", "{low}〜{high}"),
    "prompts_row": ("Prompts asked", "試したプロンプト数"),
    "errors_note": (
        "The error is the RMSE of a prompt’s answers over the standard deviation of its "
        "examples’ labels; the middle of all prompts.",
        "誤差は、プロンプトごとの RMSE を事例の正解値の標準偏差で割った値の中央値です。",
    ),
    "answered_by": (
        "The profile answered {share} of the prompts itself.",
        "プロファイル自身が回答したプロンプトは {share} です。",
    ),
    "coverage": ("Does it know how sure it is?", "回答の確かさは正しいか"),
    "coverage_text": (
        "Every answer comes with intervals that promise to hold the truth so often. The dashed "
        "line is the promise, the mark what was measured, the bar its 95% bounds.",
        "回答には、実際の値が一定の割合で入ると約束する区間が付きます。破線が約束、"
        "印が実測、線は 95% の範囲です。",
    ),
    "coverage_caption": ("Truths within the intervals", "区間に入った実際の値の割合"),
    "steadiness": ("Does the answer stay the same?", "事例を変えても回答は変わらないか"),
    "steadiness_text": (
        "The same query was asked again with other examples. An answer should move less than it "
        "errs anyway.",
        "同じクエリを、事例を変えてもう一度予測させました。動きが普段の誤差より小さければ"
        "安定しています。",
    ),
    "steadiness_caption": (
        "Movement of the answer by its typical error",
        "回答の動き ÷ 典型的な誤差",
    ),
    "steadiness_note": (
        "Mark: the middle case. Bar: nine cases of ten. Dashed: as much as the typical error.",
        "印は中央の値、線は 10 回中 9 回の範囲、破線は典型的な誤差と同じ大きさです。",
    ),
    "all_groups": ("All groups that were kept back", "検証に使った全グループ"),
    "strip_text": (
        "Each of the {count} dots is one group.",
        "{count} 個の点が、それぞれ一つのグループです。",
    ),
    "worst_h": ("Worst group: {name}", "誤差の大きいグループ: {name}"),
    "worst_text": (
        "Its error is {error}, {ratio} times that of the middle group (prompts: {prompts}).",
        "誤差は {error} で、中央のグループの {ratio} 倍です（プロンプト {prompts} 件）。",
    ),
    "scatter_caption": ("Answers against truths", "回答と実際の値"),
    "scatter_note": (
        "On the dashed line an answer is right; the diamond is the worst one.",
        "破線上なら正解どおり。ひし形は最も外れた回答です。",
    ),
    "shares_caption": ("The worst answer taken apart", "最も外れた回答の内訳"),
    "shares_note": (
        "The steps add up exactly to the answer.",
        "各段を足すと、ちょうど回答の値になります。",
    ),
    "not_measured": ("This could not be measured.", "測定できませんでした。"),
    # step 3
    "step3": ("Step 3: when conditions change", "ステップ 3: 条件が変わったら"),
    "step3_lead": (
        "The test prompts ({count} examples each) were changed on purpose, one thing at a time.",
        "検証用のプロンプト（事例 {count} 件）の条件を、一つずつ意図的に変えました。",
    ),
    "alerts_h": ("Would anybody notice?", "悪化に気づけるか"),
    "alerts_text": (
        "Each change was also run {runs} times through the monitoring, {prompts} prompts a run. "
        "Without any change an alert fired in {quiet} of the runs.",
        "変化ごとに監視の試行を {runs} 回（1 回 {prompts} 件）行いました。"
        "何も変えない場合に警報が出たのは {quiet} です。",
    ),
    "tolerated_note": (
        "Borne: the error surely stays below 1.25 times (the right dashed line; the left one is "
        "the error without the change), and hardly any prompt is left without an answer. "
        "Noticed: an alert fires, or replies refuse or warn. Not sure: neither that it is borne "
        "nor that it harms.",
        "「耐えられる」は、誤差が確実に 1.25 倍（右の破線）未満で、回答のないプロンプトがほとんど"
        "ないことを示します。左の破線は変化がない場合の誤差です。「気づける」は、警報が出るか、応答が"
        "拒否や警告を返すことです。「不確か」は、耐えられるとも悪化するともいえないものです。",
    ),
    "changes_table": ("All changes in numbers", "数値の一覧"),
    "changes_caption": (
        "Error after the change by that before, with 95% bounds; alerts in the monitoring’s "
        "simulation",
        "変化の前後の誤差の比と 95% の範囲、監視の試行での警報",
    ),
    "refused_note": (
        "Refused: prompts without an answer, or answered by the model that knows no history, "
        "with a warning; callers see both in the reply.",
        "「拒否など」は、回答しなかったプロンプトと、警告付きで基盤モデルが回答したプロンプトの"
        "割合です（いずれも応答に明記されます）。",
    ),
    "change": ("Change", "変化"),
    "error_times": ("Error", "誤差"),
    "borne": ("Borne", "判定"),
    "alert": ("Alert", "警報"),
    "runs_alerted": ("Runs with it", "警報の割合"),
    "after_prompts": ("After prompts", "警報までの件数"),
    "refused": ("Refused", "拒否など"),
}
