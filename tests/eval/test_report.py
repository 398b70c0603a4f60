"""The page: whole, self-contained, and small."""

import base64
import html.parser
import io
import json
import re

import matplotlib.figure
import matplotlib.image
import numpy as np
import pytest
import soundfile

from eval import figures, gallery, profile, protocol, report, table
from eval.audio.rows import AudioTable
from eval.chunks import Chunk
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
    onsets, floor = np.linspace(0.1, 2.0, 20), np.array([0.3, 0.3, 0.35, 0.05])
    by_dialogue = [{"dialogue": f"talk-{i}", "fto_median": 0.1 * i, "llr": None} for i in range(3)]
    ftos = np.random.default_rng(1).normal(0.2, 0.5, 50)
    return Row(name, kind, scores, ftos, excerpt(), by_dialogue, (), onsets, floor)


def sound(*names):
    """An audio table of rows that are ever nearer to noise."""
    rows = []
    for i, name in enumerate(names):
        quality = {"babble_quality": 90.0 - 9 * i, "babble_quality_low": 70.0 - 9 * i, "babble_quality_high": 95.0}
        proxy = {"frechet_mel": 1.0 + i, "frechet_mel_percent": 95.0 - i, "headline": "frechet_mel"}
        rows.append(Row(name, "human" if name == "human" else "model", quality | proxy, np.zeros(0)))
    about = {"clips": 3, "dialogues": 3, "speech_seconds": 60.0, "sample_rate": RATE}
    return AudioTable(rows, ["<model & co>: clipped: 3 % of the samples"], about)


class Page(html.parser.HTMLParser):
    """Counts elements, checks that they close, and collects what they point to."""

    void = {"meta", "img", "br", "link", "input"}

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
    sounds = {"follower": sound("<model & co>", "human")}
    report.write_report(
        path, "Who speaks when.", "talk", {"follower": rows}, {"follower": "3 rows"}, sounds, [block], [("seed", "0")]
    )
    return path.read_text(encoding="utf-8")


def test_parses_and_has_every_row(page):
    parsed = Page(page)
    assert parsed.open == []
    classes = [attributes.get("class") for _, attributes in parsed.elements]
    assert [each for each in classes if each and each.startswith("voice")] == [
        "voice partner", "voice model", "voice human", "voice reference",
    ]  # fmt: skip
    assert sum(str(each).startswith("card ") for each in classes) == 3 and classes.count("playhead") == 4
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "&lt;model &amp; co&gt;" in page and "<model" not in page


def test_needs_no_network(page):
    assert not re.search(r"https?:|//[a-z]", re.sub(r'"data:[^"]*"', "", page))
    assert all(address.startswith(("data:", "#")) for address in Page(page).addresses)
    assert "@import" not in page and "default-src 'none'" in page


def test_dialogues_proxies_and_notes_are_on_the_page(page):
    assert page.count('data-value="talk-') == 9 and "Timing by dialogue" in page
    assert "95 percent from noise" in page and "90 percent from noise" in page
    assert 'class="proxies"' in page and "clipped: 3 % of the samples" in page


def shown(page):
    """What the gallery's script gets."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_sound_is_that_of_the_excerpt(page):
    content = shown(page)
    assert content["seconds"] == 6.0 and [row["rate"] for row in content["rows"]] == [RATE] * 4
    for row, channel in zip(content["rows"], ("partner_audio", "own_audio"), strict=False):
        played, rate = soundfile.read(io.BytesIO(base64.b64decode(row["sound"].split(",")[1])), dtype="float32")
        assert rate == RATE and row["sound"].startswith("data:audio/flac")
        np.testing.assert_allclose(played, getattr(excerpt(), channel), atol=1 / 32000)
    np.testing.assert_allclose(content["rows"][1]["own"], SPEECH)
    np.testing.assert_allclose(content["rows"][1]["partner"], SPEECH + 1.1)
    assert content["rows"][0]["partner"] == []


def test_mel_is_an_image_of_100_columns_a_second():
    from PIL import Image

    address = figures.mel_address(excerpt().own_audio, RATE)
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert image.format == "WEBP" and image.size == (601, 64)
    loud, silent = np.asarray(image)[:, 60:140].mean(), np.asarray(image)[:, 420:580].mean()
    assert loud > 2 * silent


def test_columns_without_a_number_are_left_out(page):
    heads = re.findall(
        r'<th scope="col" aria-sort="none" title="[^"]*"><button type="button">([^<]*)</button></th>', page
    )
    assert heads == ["TTR", "FTO median, s", "gate", "FTO median, s", "babble quality", "Frechet, log-mel"]


def test_samples_are_given_up_before_length():
    channels = gallery.voices([excerpt(seconds=60.0)] * 2)
    exact, codec, seconds = gallery.in_budget(channels, 10**7)
    assert codec is gallery.FLAC and seconds == 60 and len(exact) == 3
    lossy, codec, seconds = gallery.in_budget(channels, sum(map(len, exact)) - 1)
    assert codec is gallery.MP3 and seconds == 60
    short, codec, seconds = gallery.in_budget(channels, sum(map(len, lossy)) // 2)
    assert codec is gallery.MP3 and seconds < 60 and sum(map(len, short)) <= sum(map(len, lossy)) // 2
    assert gallery.in_budget(channels, 1)[2] == gallery.CHOICES[-1][1]
    assert gallery.in_budget([], 1)[0] == []


@pytest.mark.parametrize("rate, written", [(8000, 8000), (20000, 22050), (96000, 48000)])
def test_lossy_sound_starts_and_ends_where_it_should(rate, written):
    sound = noise_bursts(np.array([[0.5, 0.7]]), 1.0, rate, np.random.default_rng(0))
    address = gallery.MP3.address(sound, rate)
    played, found = soundfile.read(io.BytesIO(base64.b64decode(address.split(",")[1])), dtype="float32")
    assert found == written and len(played) == pytest.approx(written, abs=2)
    loud = np.flatnonzero(np.abs(played) > 0.1) / written
    assert loud[0] == pytest.approx(0.5, abs=0.02) and loud[-1] == pytest.approx(0.7, abs=0.02)


def test_first_seconds_of_a_voice():
    short = gallery.voices([excerpt()])[1].first(3.0)
    assert len(short.audio) == 3 * RATE
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
    empty, silent = np.zeros(0), np.zeros(RATE, np.float32)
    nothing = Row("silent", "human", {}, empty, None, (), (), np.full(20, np.nan), np.array([1.0, 0, 0, 0]))
    for _, draw, height, box in figures.timing_figures(nothing, nothing):
        assert figures.svg(draw, 2.9, height, box).startswith("<svg")
    assert figures.mel_address(silent, RATE).startswith("data:image/webp")
    column = table.Column("x", "x", "x", percent=True)
    assert figures.proxies_svg([column], [Row("silent", "model", {"x_percent": None}, empty)]).startswith("<svg")


def test_many_rows_are_told_apart():
    assert len({figures.row_mark(i) for i in range(49)}) == 49
    empty, column = np.zeros(0), table.Column("x", "x", "x", percent=True)
    rows = [Row(f"model {i}", "model", {"x_percent": 50.0}, empty) for i in range(8)]
    axes = matplotlib.figure.Figure().add_subplot()
    figures.proxies_figure([column], rows)[0](axes)
    drawn = {(line.get_marker(), line.get_color()) for line in axes.lines}
    assert len(drawn) == 8


def test_figures_have_the_colours_of_the_page():
    drawn = figures.svg(lambda ax: figures.draw_floor(ax, np.full(4, 0.25), np.full(4, 0.25)), 2.9, 0.7)
    assert {"var(--own)", "var(--partner)", "var(--line)", "var(--ink)"} <= set(re.findall(r"var\(--\w+\)", drawn))


def test_floor_and_onsets_of_known_dialogue():
    chunk = Chunk("d", 0, 0.0, 10.0, np.array([[2.25, 4.0], [7.45, 9.0]]), np.array([[0.0, 2.0], [3.0, 7.0]]))
    np.testing.assert_allclose(profile.floor_shares([chunk]), [0.17, 0.23, 0.5, 0.1], atol=1e-9)
    onsets = profile.onset_hazard([chunk])
    # Two silences after the partner: one ends after 0.25 s, the other after 0.45 s, each with an onset.
    np.testing.assert_allclose(onsets[:5], [0, 0, 5, 0, 10])
    assert np.isnan(onsets[5:]).all()


def test_what_is_drawn_comes_back_from_a_score_file():
    drawn = row("a", "model")
    onsets = drawn.onset_hazard.copy()
    onsets[-1] = np.nan
    kept = json.loads(json.dumps(protocol.json_ready(profile.content(drawn.ftos, onsets, drawn.floor))))
    for found, wanted in zip(profile.from_content(kept), (drawn.ftos, onsets, drawn.floor), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert profile.content(np.zeros(0), None, None) is None
    assert profile.from_content(None)[1:] == (None, None)
    with pytest.raises(ValueError, match="bins"):
        profile.from_content(kept | {"onset_hazard": [1.0]})


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
