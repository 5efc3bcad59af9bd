"""What Prometheus gets: the families, labels and values of the contract, and nothing else."""

import math
import re

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitoring.exporter import RETIRED_SECONDS, MonitorCollector
from monitoring.monitor import REASONS, Monitor
from monitoring.totals import RATIO_BUCKETS
from tests.monitoring.quiet import prompts, reference, seen, summarised

COUNTERS = {
    "prompts": (),
    "rows": (),
    "channel_prompts": ("channel",),
    "inflation": ("channel",),
    "inflation_sq": ("channel",),
    "clipped_prompts": ("channel",),
    "excess_error": (),
    "query_signal": (),
    "loo_error": ("predictor",),
    "loo_prompts": ("predictor",),
    "label_power": (),
    "length_effect": (),
    "direction_sum": ("direction", "sign"),
    "direction_mean_sq": ("direction",),
    "direction_excess": ("direction",),
    "skipped_prompts": ("reason",),
}
GAUGES = {
    "gate": ("channel",),
    "info_score": (),
    "info_channel_score": ("channel",),
    "warming": (),
    "reference_info": ("model_version",),
    "reference_value": ("quantity",),
    "queue_prompts": (),
    "last_update_timestamp_seconds": (),
}
VALUES = {
    "channel": {"h", "loo"},
    "predictor": {"served", "ridge"},
    "direction": {"1", "2"},
    "sign": {"positive", "negative"},
    "reason": set(REASONS),
    "model_version": {"v"},
    "quantity": {"h", "loo", "loo_ridge", "label_power", "query_signal", "noise_variance"},
}
INFO = {"mean", "mean_max", "covariance", "diagonal", "covariance_max", "tail", "glr"}


def registry(*monitors):
    made = CollectorRegistry()
    made.register(MonitorCollector(monitors, queued=lambda name: len(name)))
    return made


def monitor(*blocks, name="m", of=seen, **fields):
    found = Monitor(name, "v", "paper", **{"reference": reference(), **fields})
    for block in blocks:
        found.observe(of(block))
    return found


def families(made):
    return {family.name.removeprefix("sonoba_drift_"): family for family in made.collect()}


def samples(made, name):
    return [sample for family in made.collect() for sample in family.samples if sample.name == name]


def value(made, name, **labels):
    return made.get_sample_value(
        f"sonoba_drift_{name}", {"model": "m", "reference": reference().id, **labels}
    )


def test_the_families_are_those_of_the_contract():
    found = families(registry(monitor(prompts(1, 200))))

    assert set(found) == {*COUNTERS, *GAUGES, "inflation_ratio"}
    for name in COUNTERS:
        assert found[name].type == "counter", name
    for name in GAUGES:
        assert found[name].type == "gauge", name
    assert found["inflation_ratio"].type == "histogram"


@pytest.mark.parametrize(
    ("name", "extra"), [*COUNTERS.items(), *GAUGES.items()], ids=lambda v: str(v)
)
def test_labels_are_those_of_the_contract(name, extra):
    family = families(registry(monitor(prompts(1, 200))))[name]

    for sample in family.samples:
        assert set(sample.labels) == {"model", "reference", *extra}
    for label in extra:
        got = {sample.labels[label] for sample in family.samples}
        assert got == (INFO if name == "info_channel_score" else VALUES[label])


@pytest.mark.parametrize("made", [reference, lambda: None], ids=["a reference", "none yet"])
def test_every_counter_is_there_at_zero_from_the_start(made):
    known = made()
    found = families(registry(monitor(reference=known)))

    for name, extra in COUNTERS.items():
        if known is None and name.startswith("direction"):
            continue  # how many there are is not known yet
        expected = math.prod(len(VALUES[label]) for label in extra)
        assert [sample.value for sample in found[name].samples] == [0.0] * expected, name
    buckets = found["inflation_ratio"].samples
    assert len(buckets) == len(RATIO_BUCKETS) + 3
    assert {sample.value for sample in buckets} == {0.0}


def test_counters_are_the_public_sums():
    found = monitor(prompts(1, 200))
    made, totals = registry(found), found.watch.released.public

    assert (value(made, "prompts_total"), value(made, "rows_total")) == (200.0, 4000.0)
    for place, channel in enumerate(("h", "loo")):
        assert value(made, "channel_prompts_total", channel=channel) == 200.0
        assert value(made, "inflation_total", channel=channel) == totals.inflation[place]
        squares = value(made, "inflation_sq_total", channel=channel)
        assert squares == totals.inflation_square[place]
        assert value(made, "clipped_prompts_total", channel=channel) == 0.0
    assert value(made, "loo_prompts_total", predictor="served") == 200.0
    assert value(made, "loo_prompts_total", predictor="ridge") == 25.0
    for place, predictor in enumerate(("served", "ridge")):
        assert value(made, "loo_error_total", predictor=predictor) == totals.loo_error[place]
    for name in ("excess_error", "query_signal", "label_power", "length_effect"):
        assert value(made, f"{name}_total") == getattr(totals, name), name
    for place in range(2):
        positive, negative, square, excess = totals.directions[:, place].tolist()
        of = {"direction": str(place + 1)}
        assert value(made, "direction_sum_total", **of, sign="positive") == positive
        assert value(made, "direction_sum_total", **of, sign="negative") == negative
        assert value(made, "direction_mean_sq_total", **of) == square
        assert value(made, "direction_excess_total", **of) == excess


def test_nothing_of_fewer_than_twenty_prompts_is_public():
    before, after = monitor(prompts(1, 19)), monitor(prompts(1, 19), prompts(2, 1))

    assert value(registry(before), "prompts_total") == 0.0
    assert value(registry(before), "inflation_total", channel="h") == 0.0
    assert value(registry(after), "prompts_total") == 20.0


def test_the_histogram_counts_ratios_up_to_each_bound():
    found = monitor(prompts(1, 200))
    made, totals = registry(found), found.watch.released.public
    counts = [
        value(made, "inflation_ratio_bucket", le=le)
        for le in ("0.5", "0.8", "1.0", "1.25", "1.5", "2.0", "3.0", "5.0", "10.0", "20.0", "+Inf")
    ]

    assert counts == np.cumsum(totals.ratio_buckets).tolist()
    assert counts[-1] == value(made, "inflation_ratio_count") == 200.0
    assert value(made, "inflation_ratio_sum") == totals.ratio_sum


def test_gauges_are_absent_until_they_are_known():
    few, enough = registry(monitor(prompts(1, 99))), registry(monitor(prompts(1, 149)))
    all_of_it = registry(monitor(prompts(1, 150)))

    assert samples(few, "sonoba_drift_gate") == []
    assert (value(few, "warming"), value(enough, "warming")) == (1.0, 0.0)
    assert len(samples(enough, "sonoba_drift_gate")) == 2
    assert samples(enough, "sonoba_drift_info_score") == []
    assert samples(enough, "sonoba_drift_info_channel_score") == []
    assert value(all_of_it, "info_score") is not None


def test_gauges_are_the_monitors_numbers():
    found = monitor(prompts(1, 200))
    made, snapshot = registry(found), found.snapshot()

    for channel in ("h", "loo"):
        assert value(made, "gate", channel=channel) == snapshot.levels[channel].gate
    assert value(made, "info_score") == snapshot.info_score
    for channel in INFO:
        got = value(made, "info_channel_score", channel=channel)
        assert got == snapshot.info_channels[channel]
    assert value(made, "last_update_timestamp_seconds") == snapshot.last_update_seconds
    assert value(made, "queue_prompts") == 1.0  # what `queued` says of "m"


def test_the_reference_in_force_is_told_with_its_baselines():
    made, base = registry(monitor()), reference().baselines

    assert value(made, "reference_info", model_version="v") == 1.0
    assert value(made, "reference_value", quantity="h") == base.mean("predicted")
    assert value(made, "reference_value", quantity="loo") == base.mean("loo")
    assert value(made, "reference_value", quantity="loo_ridge") == base.mean("ridge")
    assert value(made, "reference_value", quantity="label_power") == base.mean("label_power")
    assert value(made, "reference_value", quantity="query_signal") == base.mean("query_signal")
    assert value(made, "reference_value", quantity="noise_variance") == 0.5


def test_a_model_without_a_reference_is_warming_and_has_no_baselines():
    found = monitor(prompts(1, 120), reference=None)
    made = registry(found)

    labels = {"model": "m", "reference": "warming"}
    assert made.get_sample_value("sonoba_drift_warming", labels) == 1.0
    assert made.get_sample_value("sonoba_drift_prompts_total", labels) == 0.0
    assert samples(made, "sonoba_drift_reference_info") == []
    assert samples(made, "sonoba_drift_reference_value") == []
    [gate] = samples(made, "sonoba_drift_gate")
    assert gate.labels == {**labels, "channel": "loo"}


@pytest.mark.slow
def test_its_first_reference_takes_the_place_of_warming():
    found = monitor(prompts(1, 100), reference=None, prompts_min=100)
    made = registry(found)

    labels = {sample.labels["reference"] for f in made.collect() for sample in f.samples}
    assert labels == {found.watch.reference.id}


def test_skips_are_counted_by_reason():
    found = monitor(prompts(1, 30))
    found.skip("over_budget", 17)
    made = registry(found)

    counts = {reason: value(made, "skipped_prompts_total", reason=reason) for reason in REASONS}
    assert counts == {**dict.fromkeys(REASONS, 0.0), "over_budget": 17.0}


@pytest.mark.parametrize("of", [seen, summarised])
@pytest.mark.parametrize("count", [0, 10, 100, 200])
def test_no_number_is_nan(of, count):
    made = registry(monitor(*([prompts(1, count)] if count else []), of=of))

    for family in made.collect():
        for sample in family.samples:
            assert math.isfinite(sample.value), sample


def test_models_stand_side_by_side_in_one_family():
    made = registry(monitor(prompts(1, 40)), monitor(prompts(2, 60), name="other", reference=None))
    text = generate_latest(made).decode()

    found = samples(made, "sonoba_drift_prompts_total")
    assert [(one.labels["model"], one.value) for one in found] == [("m", 40.0), ("other", 0.0)]
    assert len(re.findall(r"^# TYPE sonoba_drift_prompts_total counter$", text, re.M)) == 1
    queues = samples(made, "sonoba_drift_queue_prompts")
    assert [(one.labels["model"], one.value) for one in queues] == [("m", 1.0), ("other", 5.0)]


class Swapped:
    """Monitors of one model that take each other's place, and a clock that is set by hand."""

    def __init__(self, first):
        self.now, self.in_force, self.made = 0.0, [first], CollectorRegistry()
        self.collector = MonitorCollector(self.in_force, len, lambda: self.now)
        self.made.register(self.collector)

    def to(self, found):
        self.collector.retire(self.in_force[0])
        self.in_force[:] = [found]

    def references(self, name):
        return [one.labels["reference"] for one in samples(self.made, f"sonoba_drift_{name}")]


def other_reference(window_prompts):
    """Return what differs from the reference in its window alone, and so in its id."""
    return reference(window_prompts=window_prompts)


SECOND, THIRD = 120, 140


def test_the_sums_of_a_monitor_that_was_replaced_are_told_for_an_hour_and_nothing_else_of_it():
    first = monitor(prompts(1, 200))
    swapped, new = Swapped(first), monitor(prompts(2, 40), reference=other_reference(SECOND))
    swapped.to(new)

    both = [new.reference_id, first.reference_id]
    assert swapped.references("prompts_total") == both
    assert value(swapped.made, "prompts_total") == 200.0
    found = families(swapped.made)
    for name, extra in (*COUNTERS.items(), ("inflation_ratio", ())):
        assert {one.labels["reference"] for one in found[name].samples} == set(both), (name, extra)
    for name in GAUGES:
        assert {one.labels["reference"] for one in found[name].samples} <= {both[0]}, name

    swapped.now = RETIRED_SECONDS - 1.0
    assert swapped.references("prompts_total") == both
    swapped.now = RETIRED_SECONDS
    assert swapped.references("prompts_total") == both[:1]
    assert not swapped.collector._retired  # nor kept


@pytest.mark.slow
def test_a_model_has_two_references_at_most():
    monitors = [
        monitor(prompts(1, 20 * place), reference=other_reference(window))
        for place, window in enumerate((100, SECOND, THIRD), 1)
    ]
    swapped = Swapped(monitors[0])
    for one in monitors[1:]:
        swapped.to(one)

    expected = [monitors[2].reference_id, monitors[1].reference_id]
    assert swapped.references("prompts_total") == expected


def test_a_reference_that_comes_back_is_told_once():
    first, second = monitor(prompts(1, 200)), monitor(reference=other_reference(SECOND))
    again = monitor(prompts(3, 60))
    swapped = Swapped(first)
    swapped.to(second)
    swapped.to(again)

    assert swapped.references("prompts_total") == [again.reference_id, second.reference_id]
    swapped.to(monitor(prompts(4, 20)))  # another version with the same reference
    assert swapped.references("prompts_total") == [first.reference_id]
    assert value(swapped.made, "prompts_total") == 20.0
    assert "sonoba_drift" in generate_latest(swapped.made).decode()


def test_a_monitor_that_never_had_a_reference_leaves_no_series_and_no_rows():
    first, warming = monitor(prompts(1, 60)), monitor(prompts(2, 60), reference=None)
    swapped = Swapped(first)
    swapped.to(warming)
    last = monitor(reference=other_reference(SECOND))
    swapped.to(last)

    assert swapped.references("prompts_total") == [last.reference_id, first.reference_id]
