"""The page: whole, self-contained, and small."""

import base64
import html.parser
import io
import re

import matplotlib.image
import numpy as np
import pytest
import soundfile

from eval import figures, gallery, report, table
from eval.gallery import Excerpt
from eval.table import Row
from tests.conftest import noise_bursts

SPEECH = np.array([[0.5, 1.5], [2.0, 4.0]])
RATE = 8000


def excerpt(seconds=6.0, **changes):
    rng = np.random.default_rng(0)
    own, partner = (noise_bursts(each, seconds, RATE, rng) for each in (SPEECH, SPEECH + 1.1))
    return Excerpt(own, partner, SPEECH, SPEECH + 1.1, RATE, **changes)


def row(name, kind, **scores):
    scores = {"ttr": 0.5, "ttr_low": 0.3, "ttr_high": 0.9, "fto_median": 0.2, "llr": float("nan")} | scores
    return Row(name, kind, scores, np.random.default_rng(1).normal(0.2, 0.5, 50), excerpt())


class Page(html.parser.HTMLParser):
    """Counts elements, checks that they close, and collects what they point to."""

    void = {"meta", "img", "br", "link"}

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.addresses, self.ids = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    rows = [
        row("<model & co>", "model", gate_obedience=0.97),
        row("human", "human"),
        row("shifted", "reference", ttr=0.0),
    ]
    block = {"title": "Words", "under": "no prompt", "head": ["", "TTR"], "rows": [["human", "0.84"]]}
    report.write_report(
        path, "Who speaks when.", "talk", {"follower": rows}, {"follower": "3 rows"}, {}, [block], [("seed", "0")]
    )
    return path.read_text(encoding="utf-8")


def test_parses_and_has_every_row(page):
    parsed = Page(page)
    assert parsed.open == []
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("audio") == 3 and tags.count("article") == 3 and tags.count("img") == 6
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "&lt;model &amp; co&gt;" in page and "<model" not in page


def test_needs_no_network(page):
    assert not re.search(r"https?:|//[a-z]", re.sub(r'"data:[^"]*"', "", page).replace("// One", ""))
    assert all(address.startswith(("data:", "#")) for address in Page(page).addresses)
    assert "@import" not in page and "url(#" in page


def test_sound_is_that_of_the_excerpt(page):
    addresses = [attributes["src"] for tag, attributes in Page(page).elements if tag == "audio"]
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(addresses[0].split(",")[1])), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(sound[:, 0], excerpt().own_audio, atol=1 / 32000)
    np.testing.assert_allclose(sound[:, 1], excerpt().partner_audio, atol=1 / 32000)


def test_columns_without_a_number_are_left_out(page):
    heads = re.findall(r'<th scope="col" title="[^"]*">([^<]*)</th>', page)
    assert heads == ["TTR", "FTO median, s", "gate"]


def test_long_excerpts_are_cut_to_what_the_page_can_hold(monkeypatch):
    many = [excerpt(seconds=60.0)] * 3
    assert report.affordable_seconds(many) == 60
    monkeypatch.setattr(report, "AUDIO_BUDGET_BYTES", 1_000_000)
    seconds = report.affordable_seconds(many)
    assert seconds < 60 and sum(len(gallery.flac_address(each.first(seconds))) for each in many) <= 1_000_000


def test_first_seconds_of_an_excerpt():
    short = excerpt().first(3.0)
    assert short.seconds == 3.0 and len(short.partner_audio) == 3 * RATE
    np.testing.assert_allclose(short.own, [[0.5, 1.5], [2.0, 3.0]])
    np.testing.assert_allclose(short.partner, [[1.6, 2.6]])


def test_noise_has_the_gate_and_the_level_of_the_speech():
    source, gate = excerpt(), np.array([[1.0, 3.0], [5.0, 5.5]])
    rng = np.random.default_rng(0)
    noise = gallery.speech_shaped_noise(gate, source.own_audio, source.own, RATE, rng)
    inside, speech = noise[RATE + 100 : 3 * RATE - 100], source.own_audio[RATE : int(1.4 * RATE)]
    assert np.std(inside) == pytest.approx(np.std(speech), rel=0.1)
    assert not noise[: RATE - 100].any() and not noise[3 * RATE + 100 : 5 * RATE - 100].any()
    assert not gallery.speech_shaped_noise(gate, source.own_audio, np.zeros((0, 2)), RATE, rng).any()


def test_noise_has_the_spectrum_of_the_speech():
    rng = np.random.default_rng(0)
    low = np.convolve(rng.standard_normal(4 * RATE), np.ones(16) / 16, "same").astype(np.float32) * 0.2
    noise = gallery.speech_shaped_noise(np.array([[0.0, 4.0]]), low, np.array([[0.0, 4.0]]), RATE, rng)
    share = [np.sum(np.abs(np.fft.rfft(x)[:2000]) ** 2) / np.sum(np.abs(np.fft.rfft(x)) ** 2) for x in (low, noise)]
    assert share[0] > 0.75 and share[1] == pytest.approx(share[0], abs=0.05)


def test_histogram_counts_everything():
    shares = figures.histogram(np.array([-9.0, -0.01, 0.01, 0.05, 9.0]))
    assert shares.sum() == pytest.approx(1) and shares[0] == shares[-1] == pytest.approx(0.2)
    assert shares[20] == pytest.approx(0.4)  # From 0 to 0.1 s.
    assert figures.histogram(np.zeros(0)).sum() == 0


def test_a_silent_row_can_be_drawn():
    silent = Excerpt(np.zeros(RATE, np.float32), np.zeros(RATE, np.float32), np.zeros((0, 2)), SPEECH[:0], RATE)
    drawn = gallery.pictures(silent)
    assert drawn["strip"].startswith("<svg") and drawn["spectrogram"].startswith("data:image/png")
    assert figures.svg(lambda ax: figures.draw_fto(ax, np.zeros(0), np.zeros(0)), 3, 2).startswith("<svg")


def test_readme_picture_is_one_png(tmp_path):
    e, path = excerpt(), tmp_path / "picture.png"
    figures.readme_picture(path, e.own_audio, e.partner_audio, e.own, e.partner, RATE, np.zeros(3), np.ones(5))
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] > 1500 and pixels.std() > 0.05
    assert [each.name for each in tmp_path.iterdir()] == ["picture.png"]


def test_numbers_as_they_are_written():
    assert [table.number(x, 2, 1, True) for x in (0.5, -0.5, -0.001, None, float("nan"))] == [
        "+0.50",
        "-0.50",
        "0.00",
        "-",
        "-",
    ]
    text = table.render(["a", "long name"], [{"ttr": 0.5, "ttr_low": 0.25, "ttr_high": 1.0}, {"ttr": 0.0}])
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "0.50 (0.25 to 1.00)" in lines[2] and lines[3].startswith("long name")
