"""The findings of a re-evaluation that could not judge: too few prompts, or too few replicas."""

from model.checkpoint import Artifact
from monitoring.verdict import Reason, Verdict
from service.findings import Findings, LevelTold, Window
from service.gather import SHARE_MIN, Gathered
from service.told import KINDS
from service.words import Words

WAIT = Words(
    en="Ask again when more prompts have come; the version in force stays.",
    ja="プロンプトが増えてから、もう一度依頼してください。使用中のバージョンはそのままです。",
)


def insufficient(
    served: Artifact, gathered: Gathered, age_seconds: float, why: Words | None = None
) -> Findings:
    """Return that nothing could be judged, and why."""
    return Findings(
        model=served.name,
        model_version=served.version,
        kind=KINDS[served.model.mode],
        reference=gathered.reference,
        window=_window(gathered, age_seconds),
        levels=_levels(gathered),
        ratios={},
        signature="UNKNOWN",
        shift_kind="",
        features=(),
        regret=None,
        candidates=(),
        verdict=Verdict.INSUFFICIENT.value,
        reason=Reason.FEW_PROMPTS.value,
        step="1",
        sentence=why or _words(gathered),
        advice=WAIT,
    )


def _window(gathered: Gathered, age_seconds: float) -> Window:
    return Window(
        prompt_count=gathered.prompt_count,
        row_count=0 if gathered.state is None else gathered.state.row_count,
        age_seconds=age_seconds,
        replicas=gathered.replicas,
        missing_replicas=gathered.missing,
    )


def _words(gathered: Gathered) -> Words:
    """Return why the sums of these replicas say too little."""
    count, asked = len(gathered.replicas), len(gathered.replicas) + len(gathered.missing)
    if gathered.is_enough:
        n = gathered.prompt_count
        return Words(
            en=f"There were too few prompts to judge: {n}.",
            ja=f"判定に必要な件数がそろいませんでした（{n} 件）。",
        )
    share = f"{SHARE_MIN:.0%}"
    return Words(
        en=f"Only {count} of {asked} servers could be asked about the version in force; "
        f"{share} are needed to judge.",
        ja=f"使用中のバージョンについて答えたサーバーは {asked} 台中 {count} 台でした"
        f"（判定には {share} が必要です）。",
    )


def _levels(gathered: Gathered) -> dict[str, LevelTold]:
    if gathered.state is None:
        return {}
    return {
        channel: LevelTold(mean=level.mean, lower=level.gate, prompt_count=level.prompt_count)
        for channel, level in gathered.state.levels().items()
        if level.mean == level.mean and level.gate == level.gate  # known
    }
