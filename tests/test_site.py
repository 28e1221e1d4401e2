"""The built documentation in a browser, as wide as a desk and as narrow as a phone.

``nox -s docs`` builds the pages and runs this with ``--site``.  The browser resolves no name, so
what a page asks of the network fails and is seen.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rmt_jacobian.derive import LEDGER

pytestmark = pytest.mark.slow

WIDTHS = (1400, 420)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

# What reaches beyond the right edge of the window, and is not inside a box that scrolls.
TOO_WIDE = """
const edge = document.documentElement.clientWidth;
const scrolls = (element) => {
  for (let box = element.parentElement; box && box.tagName !== "BODY"; box = box.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return true;
  return false;
};
const wide = [...document.querySelectorAll("article *")].filter((element) =>
  element.getBoundingClientRect().right > edge + 1
  && !element.closest("mjx-assistive-mml, svg svg, svg g") && !scrolls(element));
const named = wide.map((element) => `${element.tagName} ${element.textContent.slice(0, 60)}`);
const page = document.documentElement.scrollWidth;
return page > edge ? [`the page is ${page} wide`, ...named] : named;
"""

# Mathematics that was not typeset, or that MathJax does not understand.
UNSET = """
return [...document.querySelectorAll("span.math, div.math")]
  .filter((element) => !element.querySelector("mjx-container")
    || element.querySelector('[data-mml-node="merror"]'))
  .map((element) => element.textContent);
"""

SETTLED = """
const done = arguments[arguments.length - 1];
const typeset = window.MathJax ? MathJax.startup.promise : Promise.resolve();
typeset.then(() => document.fonts.ready).then(() => done(true), (error) => done(String(error)));
"""


@dataclass(frozen=True)
class Seen:
    """What is wrong with a page at one width."""

    too_wide: list[str]
    errors: list[str]
    requests: list[str]
    unset: list[str]


CLEAN = Seen([], [], [], [])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        chrome.set_script_timeout(60)
        yield chrome


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--site")
    if folder is None:
        pytest.skip("no built documentation was named: nox -s docs builds it, and names it")
    return folder.resolve()


def pages(folder: Path | None) -> list[str]:
    """Every page that was built; without any the one that is skipped."""
    if folder is None:
        return ["index.html"]
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages(metafunc.config.getoption("--site")))


def open_page(browser: Any, path: Path, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for log in ("browser", "performance"):
        browser.get_log(log)  # forget what earlier pages left
    browser.get(path.as_uri())
    assert browser.execute_async_script(SETTLED) is True


def look(browser: Any, path: Path, width: int) -> Seen:
    open_page(browser, path, width)
    too_wide, unset = browser.execute_script(TOO_WIDE), browser.execute_script(UNSET)
    said = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert path.as_uri() in asked  # requests are seen at all
    elsewhere = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    return Seen(too_wide, said, elsewhere, unset)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_wrong_with_a_page_is_seen(browser: Any, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<article><p style='width: 1500px'>wide</p><span class='math'>x</span>"
        "<div style='overflow-x: auto'><p style='width: 1500px'>in its box</p></div></article>"
        "<img src='https://nowhere.invalid/x.png'><script>console.error('oh')</script>"
    )
    seen = look(browser, page, width)
    assert any(text.startswith("the page is 15") for text in seen.too_wide)
    assert "P wide" in seen.too_wide
    assert "P in its box" not in seen.too_wide
    assert any("oh" in text for text in seen.errors)
    assert seen.requests == ["https://nowhere.invalid/x.png"]
    assert seen.unset == ["x"]


@pytest.mark.parametrize("width", WIDTHS)
def test_page_fits_and_is_complete(browser: Any, site: Path, page: str, width: int) -> None:
    assert look(browser, site / page, width) == CLEAN


def test_mathematics_is_there(browser: Any, site: Path) -> None:
    open_page(browser, site / "theory.html", 420)
    assert len(browser.find_elements("css selector", ".math mjx-container svg")) > 100


@pytest.mark.parametrize("verdict", ["slip", "holds", "definition", "all"])
def test_ledger_shows_the_rows_of_one_verdict(browser: Any, site: Path, verdict: str) -> None:
    open_page(browser, site / "formula-ledger.html", 420)
    button = browser.find_element("css selector", f"button[data-verdict={verdict}]")
    browser.execute_script("arguments[0].click()", button)  # a bar at the top may cover it
    rows = browser.find_elements("css selector", ".ledger tbody tr")
    shown = sum(row.is_displayed() for row in rows)
    assert shown == sum(verdict in ("all", entry.verdict) for entry in LEDGER) > 0
    pressed = browser.find_elements("css selector", "button[aria-pressed=true]")
    assert {button.get_attribute("data-verdict") for button in pressed} == {verdict}
