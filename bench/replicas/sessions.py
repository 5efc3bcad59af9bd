"""Which trials are made: a short form for tests, and the long one whose figures are told."""

from dataclasses import dataclass

from bench.replicas import trials
from bench.replicas.fleet import Fleet
from bench.replicas.trials import Row
from bench.replicas.ways import CLIENT, CONFIG, ENVOY, ENVOY_NAME, FIRST, ROBIN, WAYS
from service.settings import Settings

MODELS = [way.name for way in WAYS]
PATIENT_SECONDS = 35.0  # gRPC looks a name up at most every 30 s, and DNS answers may be 5 s old


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is asked, and how fast things happen."""

    calls: int = 3000  # of every way, over a restart and over a replacement
    shared_calls: int = 1000  # of which a share is taken
    kills: int = 4
    lame_duck_seconds: float = 5.0  # the default of the server
    ready_seconds: float = 5.0  # between two replacements
    age_seconds: float = 10.0  # of connections, where replicas come and go
    limit_seconds: float = 60.0  # to find a new replica
    frozen_seconds: float = 10.0
    paused_seconds: float = 1.5  # longer than Envoy waits for one answer about health


SHORT = Plan(
    shared_calls=300,
    kills=1,
    lame_duck_seconds=2.5,  # more than two of Envoy's checks of health, a second apart
    ready_seconds=2.0,
    age_seconds=2.0,
    limit_seconds=20.0,
)


def short(plan: Plan) -> list[Row]:
    """Make each trial that promises something, and the one of a client as it comes."""
    with Fleet(2, MODELS, _flags(plan)) as fleet:
        rows = trials.spread(fleet, [CLIENT, CONFIG, ENVOY, FIRST], plan.shared_calls)
        rows += trials.restarted(fleet, [CLIENT, CONFIG, ENVOY], plan.calls)
        rows += trials.killed(fleet, [CLIENT, CONFIG, ENVOY], plan.kills)
        rows += trials.replaced(fleet, [CLIENT, ENVOY_NAME], plan.calls, plan.ready_seconds)
    with Fleet(1, MODELS, _flags(plan, plan.age_seconds)) as fleet:
        ways, calls = [CLIENT, ENVOY_NAME], plan.shared_calls
        rows += trials.scaled_out(fleet, ways, calls, plan.age_seconds, plan.limit_seconds)
        rows += trials.scaled_in(fleet, ways, calls)
    return rows


def beside(plan: Plan) -> list[Row]:
    """Make the trials that show what would happen otherwise, and those that take a minute."""
    age = Settings().max_connection_age_seconds
    with Fleet(2, MODELS, _flags(plan)) as fleet:
        rows = trials.spread(fleet, [ROBIN, ENVOY_NAME], plan.shared_calls)
        rows += trials.killed(fleet, [ROBIN], plan.kills)
        rows += trials.paused(fleet, [CLIENT, CONFIG, ENVOY], plan.kills, plan.paused_seconds)
        rows += trials.frozen(fleet, [CLIENT, CONFIG, ENVOY], plan.frozen_seconds)
        rows += trials.replaced(fleet, [CONFIG], plan.calls, plan.ready_seconds)
        rows += trials.replaced(fleet, [CONFIG], plan.calls, PATIENT_SECONDS)
    with Fleet(1, MODELS, _flags(plan)) as fleet:
        ways = [CLIENT, FIRST]
        rows += trials.scaled_out(fleet, ways, plan.shared_calls, age, plan.age_seconds)
    with Fleet(1, MODELS, _flags(plan, plan.age_seconds)) as fleet:
        ways, calls = [CONFIG, FIRST], plan.shared_calls
        rows += trials.scaled_out(fleet, ways, calls, plan.age_seconds, plan.limit_seconds)
        rows += trials.scaled_in(fleet, ways, calls)
    return rows


def _flags(plan: Plan, age_seconds: float = 0.0) -> list[str]:
    """Return what `sonoba serve` is told; connections get old by its own default, or sooner."""
    flags = ["--lame-duck-seconds", f"{plan.lame_duck_seconds:g}"]
    if age_seconds:
        flags += ["--max-connection-age-seconds", f"{age_seconds:g}"]
    return flags
