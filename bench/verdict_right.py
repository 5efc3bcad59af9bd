"""Which verdicts are right about which shift, and in what share of windows they must come.

docs/reevaluation.md, "Measured". `paper` feels every move of the covariates; `foundation` and a
profile of tasks around 0 tolerate them, so that keeping is right. Errors of `foundation` are
relative to a prompt's own labels: half the signal on the same noise reads as noise. A profile's
prior is too narrow for targets twice as large, which at 20 features a recalibration repairs.
"""

from service.findings import Findings

KEEP, WATCH, RECALIBRATE = "KEEP", "WATCH", "RECALIBRATE"
BOTH, FALL_BACK = "RECALIBRATE_AND_REPRETRAIN", "FALL_BACK_AND_REPRETRAIN"
NOISE = "TELL_BUSINESS/NOISE"
SCALE = "TELL_BUSINESS/TARGET_SCALE"
QUERY = "TELL_CALLER/QUERY_ONLY"
SHORT = "TELL_CALLER/LITTLE_INFORMATION"
BAD = "QUARANTINE/BAD_ROWS"

PAPER: dict[str, tuple[str, ...]] = {
    "quiet": (KEEP,),
    "task_new": (KEEP,),
    "task_2": (SCALE,),
    "one_mean_0.25": (KEEP,),
    "mean_0.25": (KEEP, WATCH, RECALIBRATE),
    "mean_0.5": (RECALIBRATE,),
    "scale_0.5": (RECALIBRATE,),
    "scale_1.1": (KEEP, WATCH, RECALIBRATE),
    "scale_1.5": (RECALIBRATE,),
    "scale_2": (RECALIBRATE,),
    "rotation": (RECALIBRATE,),
    "correlation": (RECALIBRATE,),
    "query_2": (QUERY,),
    "noise_4": (NOISE,),
    "t3": (BOTH, FALL_BACK),
    "short": (SHORT,),
    "bad_rows": (BAD,),
}
"""What is right of `paper`: verdicts, or verdict and reason."""
TOLERANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PAPER, (KEEP,)),
    "query_2": (KEEP, QUERY),
    "noise_4": (NOISE,),
    "t3": (KEEP, WATCH, FALL_BACK, BOTH),
    "short": (KEEP, SHORT),
}
RIGHT = {
    "paper": PAPER,
    "foundation": TOLERANT | {"scale_0.5": (NOISE, KEEP), "bad_rows": (KEEP, WATCH, BAD)},
    "profile": TOLERANT | {"task_2": (KEEP, RECALIBRATE, SCALE), "bad_rows": (BAD,)},
}
SHARE_MIN = 0.95
EXCEPTIONS = {  # prompts of mixed worlds differ so much that a window tells less
    ("het5", "scale_0.5"): 0.75,
    ("het5", "t3"): 0.0,
    ("het5", "short"): 0.0,  # its best layer errs little more on half the examples
}
NEVER = {  # of `paper`: the wrong verdicts of a simpler procedure
    "scale_1.1": (FALL_BACK, BOTH),
    "scale_1.5": (FALL_BACK, BOTH),
    "t3": (NOISE,),
}


def is_right(findings: Findings, kind: str, shift: str) -> bool:
    """Return whether a verdict is one of the right ones."""
    told = findings.verdict, f"{findings.verdict}/{findings.reason}"
    return any(one in told for one in RIGHT[kind][shift])


def is_forbidden(findings: Findings, kind: str, shift: str) -> bool:
    """Return whether a verdict is one that must never be."""
    told = findings.verdict, f"{findings.verdict}/{findings.reason}"
    return kind == "paper" and any(one in told for one in NEVER.get(shift, ()))


def share_min(world_name: str, kind: str, shift: str) -> float:
    """Return the share of windows in which the verdict must be right."""
    return EXCEPTIONS.get((world_name, shift), SHARE_MIN) if kind == "paper" else SHARE_MIN
