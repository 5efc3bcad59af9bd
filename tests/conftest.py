"""A skip is seen on a desk and fails in CI, where everything a test may need is installed.

The longest files are the first, so that no process is left alone with one at the end.
"""

import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
LONGEST = (  # what takes more than half a minute; `make test` starts files in this order
    *("hostility/test_fuzz.py", "bench/test_serving.py", "service/test_evaluating.py"),
    *("e2e/test_reevaluator.py", "e2e/test_alerts.py", "service/test_reproduce.py"),
    *("service/test_demo.py", "deploy/test_rules.py", "e2e/test_loop.py", "bench/test_drift.py"),
    *("service/test_swaps.py", "e2e/test_own_answers.py", "e2e/test_two_replicas.py"),
    *("monitoring/test_combo.py", "service/test_page_browser.py", "deploy/test_stack.py"),
    *("service/test_report_browser.py", "e2e/test_workers.py", "pretrain/test_foundation.py"),
    *("bench/test_pretraining.py", "test_readme.py", "service/test_pretrain.py"),
    *("service/test_lifecycle.py", "assess/test_guide.py", "assess/test_command.py"),
    *("assess/test_quality.py", "assess/test_browser.py"),
)
SLOW_FILE = re.compile(r"^pytestmark = pytest\.mark\.slow\b", re.MULTILINE)
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import a slow file where no slow test is run: what it loads takes seconds."""
    is_asked = config.option.markexpr != "not slow" or collection_path.suffix != ".py"
    return None if is_asked or not SLOW_FILE.search(collection_path.read_text("utf-8")) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all others, and the tests of a file, keep their order."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def failed_if_skipped(report: Report) -> Report:
    """Turn a skip into a failure that gives its reason; an expected failure is not a skip."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason} (a skip is a failure where CI is set)"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return failed_if_skipped((yield))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A folder that all processes of this run share, for what one of them makes for all."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="module")
def chromium():
    """A browser, for all pages of one file."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (path := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
