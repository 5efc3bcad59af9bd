"""A hundred thousand damaged requests: an answer of numbers or a refusal with a reason, no bug.

The long form is `python -m bench.hostility.fuzz`; a failure is told with its bytes.
"""

import logging
import resource

import pytest

from bench.hostility.fuzz import run
from service.errors import STATUS

pytestmark = pytest.mark.slow  # seconds, all together

SEED, COUNT, WARM_COUNT = 20_230_616, 100_000, 10_000
PORT_COUNT, IN_FLIGHT = 10_000, 32
MEGABYTE = 2**20
ALLOWED_CODES = {code for reason, code in STATUS.items() if reason not in ("INTERNAL", "EXPIRED")}


@pytest.fixture
def is_quiet(caplog):
    """Keep no line about a refusal: there are tens of thousands."""
    caplog.set_level(logging.ERROR, "sonoba")


@pytest.fixture
def memory_is_capped():
    """Let an allocation fail that no request may ask for."""
    kept = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 512 * MEGABYTE, kept[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, kept)


@pytest.mark.usefixtures("is_quiet", "memory_is_capped")
def test_whatever_is_sent_is_answered_in_numbers_or_refused_with_a_reason(target):
    report = run(target, SEED, COUNT)

    assert not report.failures, f"seed {SEED}: " + "\n".join(map(str, report.failures))
    assert not report.logged, f"seed {SEED}: " + "\n".join(report.logged)
    assert report.count == COUNT
    assert report.answered_count > COUNT / 5
    assert report.reasons >= {"NOT_FINITE", "MALFORMED_REQUEST", "BAD_SUMMARY", "NUMERIC_OVERFLOW"}
    assert report.reasons >= {"SCHEMA_MISMATCH", "OUT_OF_RANGE_FEATURE", "LIMIT_EXCEEDED"}
    assert report.slowest_seconds < 1.0
    warm = report.resident_bytes[WARM_COUNT // 500]
    assert max(report.resident_bytes) - warm < 24 * MEGABYTE
