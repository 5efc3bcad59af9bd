"""What each business rule means, Japanese; the English sentences are those of `RuleValues`."""

from service.rule_values import RuleValues

JAPANESE: dict[str, str] = {
    "minimum_prompts": "結論を出すのに必要な件数。",
    "gather_seconds_max": "件数や応答しないサーバーを待つ時間。過ぎると結論を出しません。",
    "minimum_gain": "切り替えに必要な、誤差の確実な減少割合。",
    "propose_below_minimum_gain": "小さくても確実な改善を担当者に提案するか。しない場合は不採用。",
    "tenant_loss_max": "一つのテナント（保存 30 件以上）で許す誤差の増加割合。",
    "shadow_prompts": "最初の判定までに、新旧両方の版で答える実際のプロンプトの件数。",
    "shadow_looks": "判定の最大回数（上の件数と、その 2 倍ごと）。多いほど大きな改善が必要です。",
    "shadow_seconds_max": "並行試験を打ち切る時間。",
    "watch_prompts": "新しい版を自動で取り消せる件数。",
    "watch_prompts_min": "実際の誤差を並行試験と比べ始める件数。",
    "watch_seconds_max": "そのための監視を終える時間。",
    "rollback_margin": "並行試験の上限を、実際の誤差が確実に超えてよい割合。",
    "error_risen": "悪化とみなす、通常と比べた誤差。",
    "power_risen": "ラベルの大きさとリッジ回帰についての同じ値。ばらつきと尺度の変化を見分けます。",
    "opportunity_gain": "悪化がなくても再調整する、誤差の減少割合。",
    "minimum_regret": "それに見合うとみなす、到達可能な最小値に対する超過誤差。",
    "error_enter": "新しい版を取り消す、その版自身の通常と比べた誤差。",
    "error_leave": "警報の悪化が終わったとみなす誤差（calm_seconds の間、下回った場合）。",
    "calm_seconds": "誤差が error_leave を下回り続けるべき時間。その場合は何も変えません。",
    "cool_down_seconds": "切り替えの後、自動の切り替えを行わない時間。",
    "actions_per_day_max": "24 時間以内の自動切り替えの上限。超えると人だけが切り替えます。",
    "recalibrate": "再調整した版への切り替え。auto は自動、approve は担当者の承認。",
    "repretrain": "再学習した版への切り替え。",
    "change_kind": "別の種類のモデル（profile から foundation など）への切り替え。",
    "roll_back": "上限を超えた版の取り消し。",
}


def meaning(name: str, language: str) -> str:
    """Return what a rule means; nothing of one that is not known."""
    if language == "ja":
        return JAPANESE.get(name, "")
    field = RuleValues.model_fields.get(name)
    return (field.description or "") if field else ""
