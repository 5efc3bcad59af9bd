"""What is said of a decision: choices, arguments, next steps and what to watch, in both languages.

Keys are codes of `service.assess.decision`. `{gap}` is our error against the other's in words, for
example “22% smaller (18 to 26%)”.
"""

Pair = tuple[str, str]

CHOICES: dict[str, Pair] = {
    "choice_go": ("GO", "導入可"),
    "choice_pilot": ("PILOT", "試験導入"),
    "choice_no-go": ("NO-GO", "見送り"),
    "meaning_go": ("Start using it, within the limits.", "定めた限度の範囲で導入できます。"),
    "meaning_pilot": (
        "Try it beside today’s way first.",
        "まずは現在の方法と並行して試してください。",
    ),
    "meaning_no-go": ("Do not use it on this data.", "このデータでの利用は見送りましょう。"),
}

TOLD: dict[str, Pair] = {  # on a terminal
    "told_report": ("report    {path}", "レポート　 {path}"),
    "told_rules": ("rules     {path}", "業務ルール {path}"),
    "told_replaced": (", in place of the one before", "（以前のファイルを置き換えました）"),
    "told_notice": ("notice    {sentence}", "お知らせ　 {sentence}"),
    "told_next": ("next      {line}", "次の手順　 {line}"),
    "told_stop": (
        "what would have to change stands in the report; do not start until then",
        "改善が必要な点はレポートにあります。それまでは導入しないでください",
    ),
}

ARGUMENTS: dict[str, Pair] = {
    "leak": (
        "{column} gives away what is to be predicted, so the figures do not hold.",
        "{column} に予測したい値そのものが含まれており、評価の数値をそのまま信用できません。",
    ),
    "nothing_measured": (
        "No group that was kept back is long enough to be asked, so nothing is known of the error.",
        "検証用のグループがどれも短すぎ、誤差を測定できませんでした。",
    ),
    "too_few_groups": (
        "There are {groups} groups; {wanted} are needed to learn from and to test on.",
        "グループが {groups} 個しかありません。学習と検証には {wanted} 個必要です。",
    ),
    "refused": (
        "It gives no answer to too many prompts ({prompts} of those with {examples} examples).",
        "回答できないプロンプトが多すぎます（事例 {examples} 件のもので {prompts} 件）。",
    ),
    "not_better_than_mean": (
        "It is not surely better than simply taking the mean of the examples: its error is {gap}.",
        "事例の平均をそのまま答える方法より確実に良いとはいえません。誤差は {gap}です。",
    ),
    "ridge_better": (
        "A line fitted to each prompt alone ({method}) is better: sonoba’s error is {gap}.",
        "プロンプトごとに直線を当てはめる方法（{method}）のほうが優れています。"
        "sonoba の誤差は {gap}です。",
    ),
    "boosting_far_better": (
        "Gradient boosting on the same history errs far less ({saves} less): use that instead.",
        "同じ履歴で学習した勾配ブースティングの誤差のほうがはるかに小さく"
        "（{saves} 減）、そちらの利用をお勧めします。",
    ),
    "intervals_lie": (
        "Intervals that should hold {level} of the truths hold only {covered} ({low} to {high}).",
        "真の値の {level} を含むはずの予測区間に、{covered}（{low}〜{high}）しか入りません。",
    ),
    "few_groups": (
        "Too few groups could be tested on ({held_out}): so few can agree by chance; {wanted} are "
        "wanted, from {wanted_groups} groups in all.",
        "検証に使えたグループが {held_out} 個だけで、偶然の一致かもしれません"
        "（{wanted} 個、全体で {wanted_groups} グループ以上が望まれます）。",
    ),
    "repair": (
        "The data has faults to repair first ({count}, see step 1).",
        "先に直すべきデータの問題が {count} 件あります（ステップ 1 を参照）。",
    ),
    "no_profile": (
        "Learning from the history brought no proven gain, so the model without history answered.",
        "履歴から学ぶ効果を確認できず、履歴を使わない基盤モデルで回答しました。",
    ),
    "small_gain": (
        "The gain over the mean of the examples is small: the error is {gap}.",
        "事例の平均と比べた改善はわずかで、誤差は {gap}です。",
    ),
    "history_unproven": (
        "It is not surely better than a line fitted to each prompt alone: the error is {gap}.",
        "プロンプトごとの直線の当てはめより確実に良いとはいえません。誤差は {gap}です。",
    ),
    "boosting_better": (
        "Gradient boosting on the same history errs less: sonoba’s error is {gap} with "
        "{examples} examples.",
        "同じ履歴で学習した勾配ブースティングのほうが誤差が小さくなります。"
        "事例 {examples} 件での sonoba の誤差は {gap}です。",
    ),
    "boosting_not_compared": (
        "It was not compared with gradient boosting: scikit-learn is not installed.",
        "勾配ブースティングとは比較していません（scikit-learn 未導入）。",
    ),
    "coverage_short": (
        "Intervals that should hold {level} of the truths hold {covered} ({low} to {high}).",
        "真の値の {level} を含むはずの予測区間に入ったのは {covered}（{low}〜{high}）です。",
    ),
    "no_intervals": (
        "How sure an answer is could not be judged: there are no intervals.",
        "回答の確かさ（予測区間）を評価できませんでした。",
    ),
    "unsteady": (
        "With other examples of the same group an answer moves by {moved} of its usual error, "
        "and in one case of ten by more than {moved_mostly}.",
        "同じグループの別の事例を使うと、回答が普段の誤差の {moved} ほど動きます"
        "（10 回に 1 回は {moved_mostly} を超えます）。",
    ),
    "weak_groups": (
        "In {groups} of {held_out} groups it is no better than knowing nothing.",
        "{held_out} グループのうち {groups} グループでは、何も知らない場合と変わりません。",
    ),
    "goes_stale": (
        "An old history costs accuracy: the error becomes {ratio} times ({low} to {high}).",
        "履歴が古くなると精度が落ち、誤差は {ratio} 倍（{low}〜{high}）になります。",
    ),
    "silent_harm": (
        "Some harm raises no alert. The worst: {change}, with {ratio} times the error.",
        "警報が出ないまま悪化する場合があります（最大は「{change}」で誤差 {ratio} 倍）。",
    ),
    "unwatched": (
        "There is no record yet of what is normal, so alerts start only after the first prompts.",
        "通常の状態の記録がまだないため、警報が働くのは最初のプロンプトがたまってからです。",
    ),
    "false_alarms": (
        "Alerts also fire when nothing has changed ({share} of {runs} quiet runs).",
        "何も変わっていなくても警報が出ることがあります（{runs} 回の試行の {share}）。",
    ),
    "conditions_unknown": (
        "No changed condition could be tried on this data.",
        "このデータでは条件を変えた試験を行えませんでした。",
    ),
    "better_than_mean": (
        "Far better than a plain average: the error is {gap} than that of the mean of the "
        "examples.",
        "単純な平均より正確です。事例の平均と比べ、誤差は {gap}です。",
    ),
    "better_than_ridge": (
        "The history pays: the error is {gap} than that of a line fitted to each prompt alone.",
        "履歴が役立っています。プロンプトごとの直線の当てはめと比べ、誤差は {gap}です。",
    ),
    "boosting_no_better": (
        "Gradient boosting on the same history is not surely better: sonoba’s error is {gap}.",
        "同じ履歴で学習した勾配ブースティングに見劣りしません。sonoba の誤差は {gap}です。",
    ),
    "intervals_hold": (
        "It knows how sure it is: {covered} of the truths lie within intervals that promise "
        "{level}.",
        "回答の確かさも正しく示せます。{level} を約束する予測区間に、真の値の {covered} が"
        "入りました。",
    ),
    "steady": (
        "Answers are steady: with other examples of the same group they move by {moved} of "
        "their usual error.",
        "回答は安定しています。同じグループの別の事例を使っても、動きは普段の誤差の"
        " {moved} ほどです。",
    ),
    "harm_noticed": (
        "Harm is noticed: alerts told of it ({count} of the changes tried) after {prompts} "
        "prompts at most.",
        "悪化に気づけます。悪影響のある変化のうち {count} 件で、遅くとも {prompts} 件の"
        "プロンプトの後に警報が出ました。",
    ),
    "tolerates": (
        "It stands changes: {count} of the {tried} that were tried do no harm.",
        "条件の変化に強く、試した {tried} 通りのうち {count} 通りは問題ありませんでした。",
    ),
    "enough_groups": (
        "The evidence is broad: {groups} groups, {held_out} of them kept back for the test.",
        "十分な数のグループで確かめました（全 {groups} グループ、うち検証用 {held_out}）。",
    ),
    "clean_data": (
        "The data is clean: nothing has to be repaired in {rows} rows.",
        "データはきれいです。{rows} 行に直すべき点はありません。",
    ),
}

NEXT: dict[str, tuple[Pair, ...]] = {
    "go": (
        (
            "Learn from the whole history with `sonoba pretrain`, and serve the result.",
            "`sonoba pretrain` で履歴全体から学習し、サービスとして公開します。",
        ),
        (
            "Put the rules file of step 4 in force; `sonoba rules check` reads it.",
            "ステップ 4 の業務ルールを適用します（`sonoba rules check` で確認できます）。",
        ),
        (
            "Look at the status page and the alerts, as listed under “What to watch”.",
            "「運用中に確認すること」に従い、状態ページと警報を確認します。",
        ),
    ),
    "pilot": (
        (
            "Mend what is named above and in step 1, as far as you can.",
            "上の理由とステップ 1 で挙げた点を、できる範囲で改善します。",
        ),
        (
            "Run it beside today’s way for some weeks; decide by today’s way until then.",
            "数週間、現在の方法と並行して動かします。その間の判断は現在の方法で行います。",
        ),
        (
            "Compare with the truths that come in, and make this report again.",
            "判明した実績と比べ、このレポートを作り直して判断します。",
        ),
    ),
    "no-go": (
        (
            "Keep today’s way of predicting for now.",
            "当面は現在の予測方法を続けてください。",
        ),
        (
            "See whether the reasons can be mended: other columns, more groups, cleaner data.",
            "列の見直し、グループの追加、データの修正で解決できるか検討します。",
        ),
        (
            "Then make this report again with the same command.",
            "改善できたら、同じコマンドでこのレポートを作り直します。",
        ),
    ),
}

WATCH: dict[str, Pair] = {
    "alerts": (
        "The status page and the alerts: they tell of harm before the truths are known.",
        "状態ページと警報。実績がわかる前に悪化を知らせます。",
    ),
    "first_prompts": (
        "The first 400 prompts: they become what is normal, so make sure that they are.",
        "最初の 400 件のプロンプト。これが「通常」の基準になるため、異常がないか確認します。",
    ),
    "silent": (
        "Changes that raise no alert: compare answers with truths as soon as these are known.",
        "警報の出ない変化。実績がわかり次第、回答と比べてください。",
    ),
    "coverage": (
        "How many truths lie within the 80% intervals: at least {coverage}.",
        "80% 区間に実績が入る割合。{coverage} 以上であることを確認します。",
    ),
    "examples": (
        "That every prompt brings at least {examples} examples.",
        "プロンプトごとに事例が {examples} 件以上あること。",
    ),
    "ranges": (
        "Rows outside of the ranges of step 4: do not trust their answers.",
        "ステップ 4 の範囲を外れた行。その回答は信頼しないでください。",
    ),
    "units": (
        "Units: a column in another unit is not tolerated.",
        "単位。列の単位が変わると正しく回答できません。",
    ),
    "missing": (
        "Columns that go missing: the answers suffer.",
        "列の欠損。値が届かなくなると精度が落ちます。",
    ),
    "stale": (
        "The age of the history: pretrain again regularly.",
        "履歴の古さ。定期的に学習し直してください。",
    ),
    "worst_groups": (
        "The groups named in step 2: check their answers first.",
        "ステップ 2 で挙げたグループ。優先して回答を確認してください。",
    ),
    "refusals": (
        "Refused prompts: callers see the reason in the reply.",
        "拒否されたプロンプト。理由は応答に記載されます。",
    ),
    "boosting": (
        "Gradient boosting: compare again when there is more history.",
        "勾配ブースティングとの比較。履歴が増えたらもう一度比べてください。",
    ),
}
