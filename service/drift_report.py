"""How the prompts of all replicas stand against the reference now: judged, nothing changed."""

from service.evaluating import NotComparable, Sources, evaluate
from service.findings import Findings
from service.gather import gather
from service.insufficient import insufficient
from service.lifecycle_parts import Parts
from service.words import Words

NO_REFERENCE = Words(
    en="This version brings no reference, so every server has its own normal and nothing can be "
    "judged for all of them.",
    ja="このバージョンには基準がなく、サーバーごとに正常値が異なるため、全体の判定はできません。",
)


def drift(parts: Parts, model: str, window_seconds: float) -> Findings:
    """Return what the sums of the last window_seconds show; replicas that are missing are named."""
    version = parts.in_force.version(model)
    loaded = parts.in_force.load(model, version)
    found = gather(parts.replicas, model, version, age_seconds=window_seconds)
    if not loaded.artifact.reference:
        return insufficient(loaded.artifact, found, window_seconds, NO_REFERENCE)
    if found.state is None:
        return insufficient(loaded.artifact, found, window_seconds)
    try:
        return evaluate(
            loaded.artifact,
            found.state,
            None,
            parts.rules.for_model(model).limits(),
            Sources(window_seconds, found.replicas, found.missing),
            manifest=loaded.manifest,
        ).findings
    except NotComparable as error:
        return insufficient(loaded.artifact, found, window_seconds, not_comparable(error))


def not_comparable(error: NotComparable) -> Words:
    """Return in words that sums do not fit the version in force."""
    return Words(
        en=f"The sums of the servers cannot be compared with the version in force: {error}.",
        ja="サーバーの集計を使用中のバージョンと比べられないため、判定できません。",
    )
