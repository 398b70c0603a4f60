"""Pictures of a dialogue and of its timing, by matplotlib and librosa.display.

Each `draw_*` puts one picture onto given axes; `svg` and `png` turn such a drawing into text for a page, and
`readme_picture` writes several into one file. SVG colours are CSS variables, so that one figure serves a light page, a
dark page and paper; PNG is transparent where nothing is drawn.
"""

import base64
import io
import os
import re
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from datasets import files

INK, FAINT, OWN, PARTNER = "#1c1b19", "#8d8a83", "#c8451b", "#6f7f92"
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", OWN: "var(--own)", PARTNER: "var(--partner)"}
FTO_EDGES_SECONDS = np.arange(-2.0, 3.0 + 1e-9, 0.1)
_RANGE_DB = 70.0  # the range of levels that a spectrogram shows


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
    power = librosa.feature.melspectrogram(
        y=audio, sr=sample_rate, n_fft=_power_of_two(sample_rate * 0.032), hop_length=hop, n_mels=64
    )
    level_db = librosa.power_to_db(power, ref=max(float(power.max()), 1e-8), top_db=None)
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
    ax.tick_params(colors=FAINT, labelsize=8, length=2)
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)


def histogram(offsets_seconds: np.ndarray) -> np.ndarray:
    """[bins] shares of the offsets; what lies beyond the edges counts in the first and last bin."""
    inside = np.clip(offsets_seconds, FTO_EDGES_SECONDS[0], FTO_EDGES_SECONDS[-1])
    return np.histogram(inside, FTO_EDGES_SECONDS)[0] / max(len(inside), 1)


def svg(draw: Callable[[Axes], None], width: float, height: float, margins: bool = False) -> str:
    """An `<svg>` element of `width` x `height` inches; without margins the axes fill it edge to edge."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        _figure(draw, width, height, margins).savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Inside a page: no metadata, no style for everything else, no names that other figures have too, no fixed size.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| id="[^"]*_\d+"', "", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg", '<svg role="img" preserveAspectRatio="none"' if not margins else '<svg role="img"', 1)


def png(draw: Callable[[Axes], None], width: float, height: float, dpi: int = 100) -> str:
    """The drawing, edge to edge, as a PNG `data:` address."""
    buffer = io.BytesIO()
    _figure(draw, width, height, margins=False).savefig(buffer, format="png", dpi=dpi, transparent=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


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


def _figure(draw: Callable[[Axes], None], width: float, height: float, margins: bool) -> Figure:
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.03, 0.14, 0.94, 0.82) if margins else (0, 0, 1, 1))
    draw(ax)
    return figure


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
