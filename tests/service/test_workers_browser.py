"""The page of several workers in a real browser; pictures of it are left in out/status-page."""

import pytest
from prometheus_client import CollectorRegistry

from model.checkpoint import FOUNDATION_FILE, load
from service.metrics_port import HttpPort, metrics_page
from tests.service.test_joint_status import HARMED, NOT_YET, QUIET, Several
from tests.service.test_page_browser import PICTURES, look  # noqa: F401  # a fixture

pytestmark = pytest.mark.slow  # seconds, all together


@pytest.fixture
def several(paper_file):
    found = Several([load(paper_file), load(FOUNDATION_FILE)])
    page = metrics_page(CollectorRegistry(), found.status)
    found.port = HttpPort("127.0.0.1", 0, page)
    yield found
    found.port.close()
    found.close()


def rows(page):
    return [row.inner_text().split("\t") for row in page.query_selector_all("#workers tr")[1:]]


def test_the_worst_answer_stands_above_a_table_of_the_workers(several, look):  # noqa: F811
    several.shows(QUIET, HARMED)
    several.kill(1)
    several.restart(1)
    several.shows(QUIET, NOT_YET)
    url = f"http://127.0.0.1:{several.port.number}/"
    PICTURES.mkdir(parents=True, exist_ok=True)
    found = {}
    for language, locale in (("en", "en-US"), ("ja", "ja-JP")):
        page = look(url, locale)
        page.wait_for_selector("#workers a")
        page.screenshot(path=PICTURES / f"workers-{language}.png", full_page=True)
        link = page.query_selector("#workers a").get_attribute("href")
        found[language] = page.inner_text("#word"), rows(page), page.complaints, link

    word, table, complaints, link = found["en"]
    assert (word, found["ja"][0]) == ("NO", "いいえ")
    assert table[0][:3] == ["0", "YES", "0.50"]
    assert table[1][:2] == ["1", "NO (kept from the process before)"]
    assert table[1][4] == "1"
    assert complaints == found["ja"][2] == []
    assert link == f"http://127.0.0.1:{several.workers[0].port.number}/?lang=en"


def test_a_single_process_has_no_table_of_workers(several, look):  # noqa: F811
    page = look(f"http://127.0.0.1:{several.workers[0].port.number}/")

    assert not page.is_visible("#workers-card")
