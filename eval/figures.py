"""Pictures of a dialogue and of its timing, by matplotlib and librosa.

Each `draw_*` puts one picture onto given axes; `svg` turns such a drawing into text for a page, `pixels` into an image,
and `readme_picture` writes several into one file. SVG colours are CSS variables, so that one figure serves a light
page, a dark page and paper.
"""

import base64
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from datasets import files
from eval.profile import ONSET_EDGES_SECONDS
from eval.table import Column, Row

INK, FAINT, OWN, PARTNER, LINE = "#1c1b19", "#77736b", "#c8451b", "#6f7f92", "#dedbd3"
_VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    OWN: "var(--own)",
    PARTNER: "var(--partner)",
    LINE: "var(--line)",
}
_FLOOR_COLOURS = (LINE, OWN, PARTNER, INK)
_MARKERS, _LEGEND = "oDs^vP*", "\u25cf\u25c6\u25a0\u25b2\u25bc\u271a\u2605"
_ROW_COLOURS = ("#c8451b", "#3b7ea1", "#5a8f3c", "#9a5fa8", "#b98a1d", "#2f8f83", "#8d8a83")
FTO_EDGES_SECONDS = np.arange(-2.0, 3.0 + 1e-9, 0.1)
_RANGE_DB = 70.0  # the range of levels that a spectrogram shows
_WIDEST = 16_000  # columns of a WebP image, whose format ends at 16383
Box = tuple[float, float, float, float]  # left, bottom, width and height of the axes, as shares of the figure
PLOT: Box = (0.03, 0.14, 0.94, 0.82)


def draw_strip(ax: Axes, own: np.ndarray, partner: np.ndarray, seconds: float) -> None:
    """Two lanes of speech, own above partner: intervals [n, 2] in seconds."""
    for lane, intervals, colour in ((0.54, own, OWN), (0.06, partner, PARTNER)):
        bars = [(start, end - start) for start, end in np.reshape(intervals, (-1, 2))]
        ax.broken_barh(bars, (lane, 0.4), color=colour, linewidth=0)
    _frame_off(ax, seconds, (0, 1))


def draw_waveform(ax: Axes, own: np.ndarray, partner: np.ndarray, sample_rate: int) -> None:
    """Both channels, float32 [samples], own above partner, each scaled to its own peak."""
    import librosa.display

    for centre, channel, colour in ((1, own, OWN), (-1, partner, PARTNER)):
        scaled = channel / max(np.abs(channel).max(initial=0), 1e-3)
        wave = librosa.display.waveshow(
            scaled.astype(np.float32), sr=sample_rate, ax=ax, max_points=1200, color=colour, linewidth=0
        )
        wave.disconnect()
        _lift(ax, centre)
    _frame_off(ax, len(own) / sample_rate, (-2.05, 2.05))


def draw_spectrogram(ax: Axes, audio: np.ndarray, sample_rate: int) -> None:
    """Mel spectrogram of one channel, float32 [samples], 70 dB below its peak and up."""
    import librosa.display

    hop = max(sample_rate // 100, len(audio) // 2400)
    level_db = _mel_db(audio, sample_rate, hop)
    librosa.display.specshow(
        level_db, sr=sample_rate, hop_length=hop, x_axis="time", ax=ax, cmap="magma", vmin=-_RANGE_DB, vmax=0
    )
    ax.set(xlabel="", ylabel="")
    _frame_off(ax, len(audio) / sample_rate)


def draw_fto(ax: Axes, fto: np.ndarray, human_fto: np.ndarray, name: str = "this row") -> None:
    """Histogram of floor-transfer offsets in seconds (share of all, 0.1 s bins) over the human one."""
    centres = (FTO_EDGES_SECONDS[1:] + FTO_EDGES_SECONDS[:-1]) / 2
    human, own = histogram(human_fto), histogram(fto)
    ax.fill_between(centres, human, step="mid", color=FAINT, alpha=0.3, linewidth=0, label="human")
    ax.step(centres, own, where="mid", color=OWN, linewidth=1.4, label=name)
    ax.axvline(0, color=FAINT, linewidth=0.6)
    for offsets, colour in ((human_fto, FAINT), (fto, OWN)):
        if len(offsets):
            ax.plot([np.median(offsets)], [0], marker="^", color=colour, markersize=5, clip_on=False, zorder=5)
    ax.set(xlim=(-2, 3), ylim=(0, None), yticks=[], xticks=[-2, -1, 0, 1, 2, 3])
    _plain(ax)


def draw_onset_hazard(ax: Axes, onsets: np.ndarray, human: np.ndarray) -> None:
    """Onsets a second, [bins] of `profile.ONSET_EDGES_SECONDS`, while both are silent, over the human ones."""
    edges = ONSET_EDGES_SECONDS
    ax.stairs(np.nan_to_num(human), edges, color=FAINT, alpha=0.3, fill=True)
    ax.stairs(np.where(np.isnan(onsets), 0, onsets), edges, color=OWN, linewidth=1.4, baseline=None)
    # A time-out puts all its onsets into one bin, beside which nothing else could be seen.
    highest = max(np.nanmax(human, initial=0), min(np.nanmax(onsets, initial=0), 2 * np.nanmax(human, initial=0)), 0.5)
    ax.set(xlim=(0, edges[-1]), ylim=(0, 1.08 * highest), xticks=[0, 0.5, 1, 1.5, 2])
    ax.set_xticklabels(["0", "0.5", "1", "1.5", "2"])
    ax.yaxis.set_major_locator(ticker.MaxNLocator(nbins=3, integer=True))
    _plain(ax)


def draw_floor(ax: Axes, floor: np.ndarray, human: np.ndarray) -> None:
    """Who holds the floor, shares [4] of `profile.FLOOR_STATES`, above the human shares."""
    for y, shares, height in ((1, floor, 0.6), (0.25, human, 0.35)):
        left = 0.0
        for share, colour in zip(shares, _FLOOR_COLOURS, strict=True):
            ax.barh(y, share, height, left, color=colour, linewidth=0, alpha=1.0 if y == 1 else 0.55)
            left += share
    ax.set(xlim=(0, 1), ylim=(0, 1.35), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.set_xticklabels(["0", "25", "50", "75", "100"])
    _plain(ax)


def draw_proxies(ax: Axes, titles: Sequence[str], percents: Mapping[str, Sequence[float | None]]) -> None:
    """A line a proxy, with a mark for each row between gated noise (0) and other real speech (100).

    Args:
        ax: where.
        titles: of the proxies, from the top.
        percents: by name of the row, for each proxy; None where it has none.
    """
    lines = np.arange(len(titles))[::-1]
    ax.hlines(lines, 0, 100, color=LINE, linewidth=1)
    shift = 0.5 / max(len(percents), 1)
    for i, (name, row) in enumerate(percents.items()):
        # Marks of one line that would hide each other stand a little above and below it.
        y = lines - shift * (i - (len(percents) - 1) / 2)
        x = np.array([np.nan if each is None else each for each in row], float)
        ax.plot(
            x, y, marker=_MARKERS[_mark(i)], color=row_mark(i)[1], markersize=5.5, linestyle="", label=name,
            clip_on=False, zorder=3,
        )  # fmt: skip
    ax.set(xlim=(0, 100), ylim=(-0.6, len(titles) - 0.4), xticks=[0, 50, 100], yticks=lines)
    ax.set_xticklabels(["noise", "50", "speech"])
    ax.set_yticklabels(titles)
    _plain(ax)
    ax.spines["bottom"].set_visible(False)


def histogram(offsets_seconds: np.ndarray) -> np.ndarray:
    """[bins] shares of the offsets; what lies beyond the edges counts in the first and last bin."""
    inside = np.clip(offsets_seconds, FTO_EDGES_SECONDS[0], FTO_EDGES_SECONDS[-1])
    return np.histogram(inside, FTO_EDGES_SECONDS)[0] / max(len(inside), 1)


def timing_figures(row: Row, human: Row) -> list[tuple[str, Callable[[Axes], None], float, Box]]:
    """What is drawn of a row's timing over the human row: title, drawing, height in inches, box of the axes."""
    onsets, floor = (0.08, 0.16, 0.89, 0.78), (0.03, 0.3, 0.94, 0.68)
    return [
        ("floor-transfer offset, s", lambda ax: draw_fto(ax, row.ftos, human.ftos), 1.5, PLOT),
        (
            "onsets a second, by silence in s",
            lambda ax: draw_onset_hazard(ax, row.onset_hazard, human.onset_hazard),
            1.4,
            onsets,
        ),
        ("who holds the floor, % of the time", lambda ax: draw_floor(ax, row.floor, human.floor), 0.75, floor),
    ]


def proxies_svg(proxies: Sequence[Column], rows: Sequence[Row]) -> str:
    """`draw_proxies` of some rows, without their names: these stand beside it, see `row_mark`."""
    return svg(*proxies_figure(proxies, rows))


def proxies_figure(proxies: Sequence[Column], rows: Sequence[Row]) -> tuple[Callable[[Axes], None], float, float, Box]:
    """The drawing, its width and height in inches, and the box of its axes."""
    percents = {row.name: [column.percent_of(row.scores) for column in proxies] for row in rows}
    titles, height = [column.title for column in proxies], 0.4 + 0.24 * len(proxies)
    box = (0.36, 0.3 / height, 0.58, 1 - 0.32 / height)
    return lambda ax: draw_proxies(ax, titles, percents), 3.8, height, box


def row_mark(place: int) -> tuple[str, str]:
    """The mark and the colour of a row in `draw_proxies`, for a legend."""
    return _LEGEND[_mark(place)], _ROW_COLOURS[place % len(_ROW_COLOURS)]


def _mark(place: int) -> int:
    # Each round of the colours begins one mark later, so that no two of 49 rows look the same.
    return (place + place // len(_ROW_COLOURS)) % len(_LEGEND)


def svg(draw: Callable[[Axes], None], width: float, height: float, box: Box = PLOT) -> str:
    """An `<svg>` element of `width` x `height` inches, with the axes in `box` of it."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        _figure(draw, width, height, box).savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Inside a page: no metadata, no style for everything else, no names that other figures have too, no fixed size.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| id="[^"]*_\d+"', "", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg", '<svg role="img"', 1)


def pixels(draw: Callable[[Axes], None], width: float, height: float, box: Box = PLOT, dpi: int = 100) -> np.ndarray:
    """The drawing on white, uint8 [height, width, 3]."""
    figure = _figure(draw, width, height, box)
    figure.set(dpi=dpi, facecolor="white")
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def mel_address(audio: np.ndarray, sample_rate: int) -> str:
    """The mel spectrogram of one channel, float32 [samples], as a WebP `data:` address, 100 columns a second."""
    import matplotlib.image

    level_db = _mel_db(audio, sample_rate, max(sample_rate // 100, -(-len(audio) // _WIDEST)))
    shades = ((level_db[::-1] / _RANGE_DB + 1).clip(0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    image = matplotlib.colormaps["magma"](shades)[..., :3]
    matplotlib.image.imsave(buffer, image, format="webp", pil_kwargs={"quality": 70, "method": 4})
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def readme_picture(
    path: str | os.PathLike,
    own_audio: np.ndarray,
    partner_audio: np.ndarray,
    own: np.ndarray,
    partner: np.ndarray,
    sample_rate: int,
    fto: np.ndarray,
    human_fto: np.ndarray,
    own_name: str = "babblezoo",
    partner_name: str = "real partner",
) -> None:
    """Writes one PNG: strips, waveforms and spectrogram of a generated dialogue, and FTOs over the human ones.

    Args:
        path: the PNG to write.
        own_audio: float32 [samples], the generated channel.
        partner_audio: float32 [samples], the channel it answered.
        own: [n, 2] its speech in seconds.
        partner: [m, 2] the partner's.
        sample_rate: Hz.
        fto: floor-transfer offsets into the agent, seconds, over all that was generated.
        human_fto: the same of the real speakers.
        own_name: label of the generated channel.
        partner_name: label of the other.
    """
    seconds = len(own_audio) / sample_rate
    figure = Figure(figsize=(12, 4.6), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3, 2, width_ratios=[3.1, 1], height_ratios=[0.5, 1, 1], hspace=0.14, wspace=0.07,
        left=0.1, right=0.985, top=0.93, bottom=0.11,
    )  # fmt: skip
    strip, wave, spectrogram = (figure.add_subplot(grid[row, 0]) for row in range(3))
    draw_strip(strip, own, partner, seconds)
    draw_waveform(wave, own_audio, partner_audio, sample_rate)
    draw_spectrogram(spectrogram, own_audio, sample_rate)
    for ax in (strip, wave):
        for height, name, colour in ((0.75, own_name, OWN), (0.25, partner_name, PARTNER)):
            ax.text(-0.012, height, name, color=colour, transform=ax.transAxes, ha="right", va="center", fontsize=10)
    spectrogram.set_axis_on()
    spectrogram.set_frame_on(False)
    spectrogram.tick_params(colors=FAINT, labelsize=9, left=False, labelleft=False)
    spectrogram.set_xticks(np.arange(0, seconds + 1e-6, 10 if seconds > 20 else 1))
    spectrogram.set_xlabel("seconds", color=FAINT, fontsize=9)
    spectrogram.text(-0.012, 0.5, own_name, color=OWN, transform=spectrogram.transAxes, ha="right", va="center")
    offsets = figure.add_subplot(grid[:, 1])
    draw_fto(offsets, fto, human_fto, own_name)
    offsets.set_xlabel("floor-transfer offset, seconds", color=FAINT, fontsize=9)
    offsets.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper right")
    with files.replacing(path) as part:
        figure.savefig(part, format="png")


def _figure(draw: Callable[[Axes], None], width: float, height: float, box: Box) -> Figure:
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    draw(figure.add_axes(box))
    return figure


def _mel_db(audio: np.ndarray, sample_rate: int, hop: int) -> np.ndarray:
    """Levels below the loudest, dB [64, frames]."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=audio, sr=sample_rate, n_fft=_power_of_two(sample_rate * 0.032), hop_length=hop, n_mels=64
    )
    return librosa.power_to_db(power, ref=max(float(power.max()), 1e-8), top_db=None)


def _plain(ax: Axes) -> None:
    ax.tick_params(colors=FAINT, labelsize=8, length=2)
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)


def _lift(ax: Axes, centre: float) -> None:
    """Moves the waveform drawn last from around 0 to around `centre`."""
    from matplotlib import transforms

    for artist in list(ax.collections)[-1:] + list(ax.lines)[-1:]:
        artist.set_transform(transforms.Affine2D().translate(0, centre) + ax.transData)


def _frame_off(ax: Axes, seconds: float, limits: tuple[float, float] | None = None) -> None:
    ax.set_xlim(0, seconds)
    if limits:
        ax.set_ylim(*limits)
    ax.set_axis_off()


def _power_of_two(value: float) -> int:
    return 1 << max(int(round(np.log2(value))), 5)
