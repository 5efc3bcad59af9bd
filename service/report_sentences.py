"""The sentences of a report at a glance, English and Japanese side by side; {} are filled in."""

SENTENCES: dict[str, tuple[str, str]] = {
    "title": ("Evaluation of model {model}", "モデル {model} の再評価"),
    "kicker": ("What the evaluation of {time} found", "{time} の再評価でわかったこと"),
    "trust": ("Can I trust today’s predictions?", "今日の予測は信頼できますか？"),
    "trust_YES": ("YES", "はい"),
    "trust_WATCH": ("WATCH", "要注意"),
    "trust_NO": ("NO", "いいえ"),
    "trust_NOT_MEASURED": ("NOT MEASURED", "未測定"),
    "as_of": ("As of {time}", "{time} 時点"),
    "done": ("What was done", "実施したこと"),
    "by_rule": ("Business rule:", "適用した業務ルール:"),
    "todo": ("What to do now", "これからすること"),
    "no_verdict": (
        "This evaluation has come to no conclusion.",
        "この再評価では、まだ結論が出ていません。",
    ),
    "light_yes": (
        "Errors are in their normal range: {error} times normal.",
        "予測誤差は正常な範囲で、通常の {error} 倍です。",
    ),
    "light_watch": (
        "Errors are {error} times normal, and surely above {lower}. Use predictions with care.",
        "予測誤差は通常の {error} 倍で、確実に {lower} 倍を超えています。予測は慎重に"
        "利用してください。",
    ),
    "light_no": (
        "Errors are {error} times normal, and surely above {lower}. Do not decide by them.",
        "予測誤差は通常の {error} 倍で、確実に {lower} 倍を超えています。判断には"
        "使わないでください。",
    ),
    "light_after": (
        "Errors were {before} times normal; since the new version answers they are "
        "{error} times normal.",
        "予測誤差は通常の {before} 倍でしたが、新しいバージョンに替えてからは {error} 倍です。",
    ),
    "light_too_new": (
        "A new version answers now; its live error is still being measured.",
        "新しいバージョンが回答しています。実際の予測誤差はまだ測定中です。",
    ),
    "light_few": (
        "There were too few prompts to tell how large errors are.",
        "件数が足りず、予測誤差の大きさを判定できませんでした。",
    ),
    "light_unknown": (
        "How large errors are could not be measured.",
        "予測誤差の大きさを測定できませんでした。",
    ),
    "outcome_PROMOTED": (
        "The new version {candidate} answers in place of {served}.",
        "バージョン {served} に替えて、新しい {candidate} を使い始めました。",
    ),
    "outcome_DONE": (
        "Nothing was changed: version {served} goes on answering.",
        "何も変更していません。引き続きバージョン {served} が回答します。",
    ),
    "outcome_TELL": (
        "Nothing was changed: people were told, and {served} goes on answering.",
        "何も変更せず、担当者に知らせました。引き続き {served} が回答します。",
    ),
    "outcome_PROPOSED": (
        "A new version {candidate} was made and waits for a person’s approval; {served} "
        "goes on answering.",
        "新しいバージョン {candidate} を作成し、担当者の承認を待っています。それまでは"
        " {served} が回答します。",
    ),
    "outcome_REJECTED": (
        "A new version was tried beside the old one and turned down; {served} goes on answering.",
        "新しいバージョンを並行して試しましたが、採用しませんでした。引き続き {served} が"
        "回答します。",
    ),
    "outcome_ROLLED_BACK": (
        "The new version {candidate} did worse than promised and was taken back; "
        "{served} answers again.",
        "新しいバージョン {candidate} は見込みより悪かったため取り消し、{served} に戻しました。",
    ),
    "outcome_FAILED": (
        "The evaluation could not be finished, and nothing was changed: {served} goes on "
        "answering.",
        "再評価を完了できませんでした。何も変更していません（引き続き {served} が回答します）。",
    ),
    "outcome_ASKED": ("The evaluation is about to begin.", "再評価を開始するところです。"),
    "outcome_GATHERING": (
        "The evaluation is collecting what the servers have seen.",
        "各サーバーから集計値を集めています。",
    ),
    "outcome_JUDGED": ("The business rules are being applied.", "業務ルールを適用しています。"),
    "outcome_SHADOWING": (
        "A new version {candidate} is being tried beside {served} on live prompts; "
        "callers still get the old answers.",
        "新しいバージョン {candidate} を"
        " {served} と並行して実際のプロンプトで試しています。利用者への回答は従来のままです。",
    ),
    "outcome_PROMOTING": (
        "The new version {candidate} is being put in place.",
        "新しいバージョン {candidate} に切り替えています。",
    ),
    "outcome_WATCHING": (
        "The new version {candidate} answers, and is watched; if it does worse than "
        "promised it is taken back.",
        "新しいバージョン {candidate} が回答しており、経過を監視しています。"
        "見込みより悪ければ自動で元に戻します。",
    ),
    "todo_PROMOTED": (
        "Nothing. The old version is kept, and this brings it back:",
        "対応は不要です。元のバージョンは保存してあり、次のコマンドで戻せます。",
    ),
    "todo_OPEN": (
        "Wait: the evaluation goes on, and this page is renewed at every step.",
        "お待ちください。再評価は続いており、このページは段階ごとに更新されます。",
    ),
    "todo_PROPOSED": (
        "Look at what was compared below. If you agree, put the new version in force:",
        "下の比較を確認し、問題なければ新しいバージョンに切り替えてください。",
    ),
    "todo_REJECTED": (
        "Ask the data scientist whether the model should be trained anew.",
        "モデルを再学習すべきか、データ担当者に相談してください。",
    ),
    "todo_ROLLED_BACK": (
        "Ask the data scientist to look at both versions before the next attempt.",
        "次に試す前に、両方のバージョンの確認をデータ担当者に依頼してください。",
    ),
    "todo_FAILED": (
        "Ask operations to mend the cause, then evaluate again:",
        "運用担当者に原因の解消を依頼し、その後もう一度評価してください。",
    ),
    "outcome_DOUBTED": (
        "The new version {candidate} answers, but does worse than promised; a person "
        "decides whether to take it back.",
        "新しいバージョン {candidate} が回答していますが、見込みより悪い結果です。元に"
        "戻すかどうかは担当者が判断します。",
    ),
    "todo_REPRETRAIN": (
        "Have a new version trained from recent history: this one helps, but not enough. The old "
        "version is kept, and this brings it back:",
        "改善はしましたが十分ではありません。最近の履歴からの再学習をデータ担当者に依頼してください。"
        "元のバージョンは保存してあり、次のコマンドで戻せます。",
    ),
    "todo_DOUBTED": (
        "Take the new version back, unless you know why its error rose:",
        "誤差が増えた理由がわからなければ、元のバージョンに戻してください。",
    ),
    "rests": (
        "Rests on {prompts} prompts, servers asked: {replicas}.",
        "{replicas} 台のサーバーの {prompts} 件にもとづく結果です。",
    ),
    "rests_missing": (
        "Rests on {prompts} prompts, servers asked: {replicas}; no answer from {missing}.",
        "{replicas} 台のサーバーの {prompts} 件にもとづく結果です（{missing} からは応答なし）。",
    ),
}
