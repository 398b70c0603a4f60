"""The page in a real browser: headless Chromium without a network."""

import pathlib
import shutil

import numpy as np
import pytest

from eval import report
from eval.gallery import Excerpt
from eval.table import Row
from tests.conftest import ROOT, noise_bursts
from tests.eval import test_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = (
    "wavenet",
    "a-model-with-a-name-as-long-as-they-get-at-16-khz",
    "samplernn_three_tier",
    "tacotron",
    "deafening",
)
ALL_ROWS = (*NAMES, "human", "hazard sampler", "own channel shifted", "time-out 700 ms")
RATE, SECONDS = 8000, 60.0
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
ARTEFACTS = ROOT / "reports" / "browser"


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
    if not pathlib.Path(found).exists():
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """A report of five models, each a minute of noise bursts as either role: as much sound as a page gets."""
    rng, rows = np.random.default_rng(0), []
    partner = _bursts(rng)
    for i, name in enumerate(ALL_ROWS):
        own = _bursts(rng)
        sounds = [noise_bursts(speech, SECONDS, RATE, rng) for speech in (own, partner)]
        kind = "model" if name in NAMES else "human" if name == "human" else "reference"
        row = test_report.row(name, kind, ttr=0.05 + i / 10, fto_median=None if i == 2 else 0.9 - i / 20)
        rows.append(
            Row(
                name,
                kind,
                row.scores,
                row.ftos,
                Excerpt(*sounds, own, partner, RATE),
                row.per_dialogue,
                (),
                row.onset_hazard,
                row.floor,
            )  # fmt: skip
        )
    path = tmp_path_factory.mktemp("browser") / "report.html"
    roles = ("follower", "giver")
    report.write_report(
        path, "Who speaks when.", "talk", dict.fromkeys(roles, rows), dict.fromkeys(roles, "9 rows"),
        dict.fromkeys(roles, test_report.sound(*NAMES, "human")), [], [("seed", "0")],
    )  # fmt: skip
    return path


def _bursts(rng):
    edges = np.cumsum(rng.uniform(0.4, 2.5, 60))
    return edges[edges < SECONDS][: len(edges[edges < SECONDS]) // 2 * 2].reshape(-1, 2)


@pytest.fixture(scope="module")
def browser():
    executable = chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the extra test has it")
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox does not start for root.
        opened = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, page_path):
    """Opens the page: visit(viewport, **options of the context) -> page; complaints and requests fail the test."""
    contexts, complaints, requests = [], [], []

    def opened(viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route("**/*", lambda route: (requests.append(route.request.url), route.continue_()))
        page.goto(page_path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def gallery_of(page):
    """The first gallery, when its sound is decoded."""
    gallery = page.locator(".gallery").first
    gallery.scroll_into_view_if_needed()
    page.locator(".gallery[data-ready]").first.wait_for()
    return gallery


def lefts(page):
    """Where the playheads stand, pixels, in all rows of the first gallery."""
    heads = page.locator(".gallery").first.locator(".playhead").all()
    return [head.bounding_box()["x"] for head in heads]


def span(gallery):
    """Seconds in view."""
    return float(gallery.get_attribute("data-span"))


def waveform(gallery):
    """What is drawn of the second row."""
    return gallery.locator(".waveform").nth(1).evaluate("(canvas) => canvas.toDataURL()")


def column(page, i):
    return page.locator("table.sortable").first.locator(f"tbody tr > :nth-child({i})").all_inner_texts()


def test_size_and_what_is_on_it(page_path, visit):
    assert page_path.stat().st_size < 15_000_000
    page = visit()
    assert page.locator(".gallery").count() == 2 and page.locator(".voice").count() == 2 * (len(ALL_ROWS) + 1)
    assert page.locator(".card svg").count() == 2 * 3 * len(ALL_ROWS)


def test_a_player_plays_and_the_playhead_moves_in_all_strips(visit):
    page = visit()
    gallery = gallery_of(page)
    before = lefts(page)
    assert len(before) == len(ALL_ROWS) + 1 and len(set(before)) == 1
    play = gallery.locator(".play").nth(3)
    play.click()
    page.wait_for_timeout(1500)
    # Ten boxes are read one after the other; a still picture of all of them needs a pause.
    play.click()
    after = lefts(page)
    assert len(set(after)) == 1 and after[0] > before[0] + 5
    seconds = float(gallery.locator(".clock").inner_text().split()[0])
    assert 0.7 < seconds < 4
    page.wait_for_timeout(200)
    assert lefts(page) == after


def test_what_is_pressed_before_it_can_play_plays(visit):
    page = visit()
    gallery = page.locator(".gallery").nth(1)
    gallery.locator(".play").nth(2).click()
    page.locator(".gallery.playing").wait_for()
    other = gallery_of(page)
    other.locator(".play").nth(1).click()
    # One gallery at a time.
    assert "playing" in other.get_attribute("class") and "playing" not in gallery.get_attribute("class")


def test_another_row_goes_on_where_the_first_was(visit):
    page = visit()
    gallery = gallery_of(page)
    gallery.locator(".play").nth(1).click()
    page.wait_for_timeout(600)
    gallery.locator(".play").nth(4).click()
    page.wait_for_timeout(300)
    assert [each.get_attribute("aria-pressed") for each in gallery.locator(".play").all()].index("true") == 4
    gallery.locator(".toggle").click()
    assert float(gallery.locator(".clock").inner_text().split()[0]) > 0.7


def test_zoom_by_button_key_and_click(visit):
    page = visit()
    gallery = gallery_of(page)
    assert span(gallery) == SECONDS
    whole = waveform(gallery)
    track = gallery.locator(".track").nth(1)
    box = track.bounding_box()
    track.click(position={"x": box["width"] / 2, "y": 10})
    assert lefts(page)[2] == pytest.approx(box["x"] + box["width"] / 2, abs=2)
    gallery.locator(".in").click()
    assert span(gallery) == SECONDS / 2 and waveform(gallery) != whole
    gallery.focus()
    for _ in range(20):
        page.keyboard.press("+")
    assert span(gallery) == pytest.approx(16 / RATE)  # Sixteen samples.
    assert lefts(page)[0] == pytest.approx(box["x"] + box["width"] / 2, abs=2)
    page.keyboard.press("ArrowRight")
    assert lefts(page)[0] == pytest.approx(box["x"] + box["width"] * 0.55, abs=2)
    gallery.screenshot(path=artefact("samples"))
    page.keyboard.press("-")
    assert span(gallery) == pytest.approx(32 / RATE)
    page.keyboard.press("0")
    assert span(gallery) == SECONDS and waveform(gallery) == whole


def test_keys_play_and_choose(visit):
    page = visit()
    gallery = gallery_of(page)
    gallery.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_timeout(400)
    pressed = [each.get_attribute("aria-pressed") for each in gallery.locator(".play").all()]
    page.keyboard.press("Space")
    assert pressed.index("true") == 2 and "playing" not in gallery.get_attribute("class")
    page.keyboard.press("End")
    assert gallery.locator(".clock").inner_text() == "60.00 s"
    page.keyboard.press("Home")
    assert gallery.locator(".clock").inner_text() == "0.00 s"


def test_sound_is_decoded_where_it_was(visit, page_path):
    """Of a lossy codec too: the samples that are drawn begin and end with the speech."""
    page = visit()
    gallery_of(page)
    content = test_report.shown(page_path.read_text(encoding="utf-8"))
    row = content["rows"][1]
    assert row["sound"].startswith("data:audio/mp3")
    level = page.evaluate(
        """async ({ sound, rate }) => {
            const bytes = Uint8Array.from(atob(sound.split(",")[1]), (c) => c.charCodeAt(0));
            const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
            return Array.from(buffer.getChannelData(0));
        }""",
        row,
    )
    loud = np.abs(level) > 0.1
    assert len(level) == pytest.approx(SECONDS * RATE, abs=RATE / 50)
    start, end = np.flatnonzero(loud)[[0, -1]] / RATE
    assert start == pytest.approx(row["own"][0][0], abs=0.01) and end == pytest.approx(row["own"][-1][1], abs=0.01)


def test_sorting_by_mouse_and_by_keyboard(visit):
    page = visit()
    table = page.locator("table.sortable").first
    ttr, fto = table.locator("thead th").nth(1), table.locator("thead th").nth(2)
    assert [name.split("\n")[0] for name in column(page, 1)] == list(ALL_ROWS)
    ttr.locator("button").click()
    assert ttr.get_attribute("aria-sort") == "descending"
    values = [float(text) for text in column(page, 2)]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    assert ttr.get_attribute("aria-sort") == "ascending" and [float(text) for text in column(page, 2)] == sorted(values)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert [each.get_attribute("aria-sort") for each in (ttr, fto)] == ["none", "descending"]
    # What has no value comes last, either way round.
    assert column(page, 3)[-1] == "-" and "-" not in column(page, 3)[:-1]
    page.keyboard.press("Space")
    assert column(page, 3)[-1] == "-" and column(page, 3)[0] == "0.50"
    table.locator("thead th button").first.click()
    assert [name.split("\n")[0] for name in column(page, 1)] == sorted(ALL_ROWS)


def test_light_dark_and_paper(visit):
    page = visit(color_scheme="light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) != light
    page.emulate_media(media="print", color_scheme="light")
    assert page.evaluate(background) == "rgb(255, 255, 255)" and not page.locator(".buttons").first.is_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_nothing_is_wider_than_the_screen(visit, viewport):
    page = visit(viewport)
    gallery_of(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    for box in (
        each.bounding_box() for each in page.locator(".gallery, .gallery button, .track, figure.proxies").all()
    ):
        assert box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name, viewport", [("desktop", DESKTOP), ("phone", PHONE)])
def test_screenshots(visit, name, viewport, scheme):
    page = visit(viewport, color_scheme=scheme)
    gallery_of(page)
    page.locator(".gallery").last.scroll_into_view_if_needed()
    page.locator(".gallery[data-ready]").nth(1).wait_for()
    page.evaluate("scrollTo(0, 0)")
    path = artefact(f"{name}-{scheme}")
    page.screenshot(path=path, full_page=True)
    assert path.stat().st_size > 100_000


def artefact(name):
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS / f"{name}.png"
