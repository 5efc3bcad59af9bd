"""What a tenant may use: buckets, purses, the file of other quotas."""

import pytest

from model.refusal import Refusal
from service.quotas import PURSES_MAX, Quotas, Rates, read_quotas
from service.reloading import FileFault
from service.roles import PREDICTS, Caller


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def caller(tenant, name="proven"):
    return Caller(tenant, PREDICTS, name)


def refusal(act):
    """Return what an act is refused with; None where it passes."""
    try:
        act()
    except Refusal as refused:
        assert refused.reason == "QUOTA_EXCEEDED"
        return refused
    return None


def passed(purse, seconds, clock, step=0.01):
    """Return how many calls pass of one each step."""
    count = 0
    for _ in range(round(seconds / step)):
        count += refusal(purse.take_call) is None
        clock.now += step
    return count


def test_nobody_has_more_calls_than_the_rate_but_for_one_burst(clock):
    purse = Quotas(Rates(10, 0), now=clock).purse(caller("a"))

    assert passed(purse, 1, clock) == 29  # two seconds' worth at once, and what comes meanwhile
    assert passed(purse, 10, clock) == pytest.approx(100, abs=1)


def test_a_refusal_says_when_the_same_call_would_pass(clock):
    purse = Quotas(Rates(4, 0), now=clock).purse(caller("a"))
    while (refused := refusal(purse.take_call)) is None:
        pass

    assert refused.retry_seconds == pytest.approx(0.25)
    assert refused.field == "calls"
    assert "come again in 0.25 s" in str(refused)
    clock.now += refused.retry_seconds
    assert refusal(purse.take_call) is None


def test_a_request_larger_than_the_bucket_passes_once_and_is_paid_back(clock):
    purse = Quotas(Rates(0, 100), now=clock).purse(caller("a"))

    assert refusal(lambda: purse.take_rows(1000)) is None  # 200 were there
    refused = refusal(lambda: purse.take_rows(1))
    assert refused.retry_seconds == pytest.approx(8.01)
    clock.now += 8.02
    assert refusal(lambda: purse.take_rows(1)) is None
    assert refusal(lambda: purse.take_rows(1000)) is not None
    assert refusal(purse.take_call) is None  # calls are not counted


def test_tenants_do_not_pay_for_each_other_and_the_unproven_pay_together(clock):
    quotas = Quotas(Rates(1, 0), now=clock)
    while refusal(quotas.purse(caller("a")).take_call) is None:
        pass
    while refusal(quotas.purse(caller("b", name="")).take_call) is None:
        pass

    assert refusal(quotas.purse(caller("b")).take_call) is None
    assert refusal(quotas.purse(caller("another-name", name="")).take_call) is not None


def test_the_file_has_other_rates_for_some_and_holds_once_it_changes(clock):
    rates = [{"a": Rates(1, 0), "free": Rates(0, 0)}]
    quotas = Quotas(Rates(5, 0), lambda: rates[0], clock)
    counts = {name: passed(quotas.purse(caller(name)), 0.1, clock) for name in ("a", "b", "free")}
    rates[0] = {"a": Rates(3, 0)}

    assert counts == {"a": 2, "b": 10, "free": 10}
    assert passed(quotas.purse(caller("a")), 0.1, clock) == 6


def test_a_gateway_that_names_more_and_more_tenants_fills_no_memory(clock):
    quotas = Quotas(Rates(1, 0), now=clock)
    greedy = quotas.purse(caller("greedy"))
    while refusal(greedy.take_call) is None:
        pass
    for number in range(PURSES_MAX + 10):
        quotas.purse(caller(f"tenant-{number}"))

    assert len(quotas._purses) <= PURSES_MAX
    assert refusal(quotas.purse(caller("greedy")).take_call) is not None  # what is owed stays


def test_nothing_is_counted_unless_somebody_asks():
    assert not Quotas(Rates(0, 0)).is_on
    assert Quotas(Rates(0, 1)).is_on and Quotas(Rates(0, 0), dict).is_on


def test_a_file_of_quotas_is_read_line_by_line(tmp_path):
    path = tmp_path / "quotas"
    path.write_text("# tenant calls rows\n\nshop-7 200 1e6  # large\nshop-8 0 0.5\n")

    assert read_quotas(path) == {"shop-7": Rates(200, 1e6), "shop-8": Rates(0, 0.5)}


@pytest.mark.parametrize(
    "line", ["shop 1", "sh/op 1 1", "shop 1 1 1", "shop x 1", "shop -1 1", "shop nan 1", "a 1 1"]
)
def test_a_bad_line_of_quotas_is_named(tmp_path, line):
    path = tmp_path / "quotas"
    path.write_text(f"a 2 2\n{line}\n")

    with pytest.raises(FileFault, match=r"^quotas: line 2: .*expected"):
        read_quotas(path)
