"""PromQL in pieces: the selectors and the quotients that the panels are made of.

Every quotient keeps `namespace`, so that two installations with a model of one name never mix, and
is a ratio of sums, never an average of replicas.
"""

MODEL = 'namespace=~"$namespace",model=~"$model"'
SPACE = 'namespace=~"$namespace"'
SERVER = f'{SPACE},job="sonoba"'
PREDICTION = 'grpc_service=~"sonoba.v1.Predictor|inference.GRPCInferenceService"'  # no probes
REPLICA = "namespace, pod, instance"
REFERENCE = "namespace, model, reference"


def per_second(metric: str, labels: str, select: str = MODEL) -> str:
    """Return the rate of a counter, summed by some labels."""
    return f"sum by ({labels}) (rate({metric}{{{select}}}[$__rate_interval]))"


def in_range(metric: str, labels: str, select: str = MODEL) -> str:
    """Return what a counter gained over the range of the dashboard, summed by some labels."""
    return f"sum by ({labels}) (increase({metric}{{{select}}}[$__range]))"


def mean(total: str, count: str, labels: str, count_labels: str = "") -> str:
    """Return Σ of one counter ÷ Σ of another; the second may have fewer labels than the first."""
    if not count_labels:
        return f"{per_second(total, labels)} / {per_second(count, labels)}"
    many = f"on ({count_labels}) group_left ()"
    return f"{per_second(total, labels)} / {many} {per_second(count, count_labels)}"


def over_reference(numerator: str, quantity: str, many: bool = False) -> str:
    """Return a value by (namespace, model, reference) ÷ the baseline of that reference."""
    side = f"on ({REFERENCE}) group_left ()" if many else f"on ({REFERENCE})"
    return f"{numerator} / {side} {baseline(quantity)}"


def baseline(quantity: str) -> str:
    """Return one value of the reference profile: h, loo, loo_ridge, label_power and so on."""
    select = f'{MODEL},quantity="{quantity}"'
    return f"max by ({REFERENCE}) (sonoba_drift_reference_value{{{select}}})"


def in_force(series: str) -> str:
    """Return a series without what belongs to a reference that was replaced."""
    return f"({series}) and on ({REFERENCE}) sonoba_drift_reference_info{{{MODEL}}}"
