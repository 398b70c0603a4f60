"""The figures of a page in TensorBoard. TensorFlow is imported when something is shown, and not before."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from datasets import files
from eval import figures
from eval.audio import columns
from eval.audio.rows import AudioTable
from eval.gallery import Excerpt
from eval.table import HEADLINE, Row

WHOLE: figures.Box = (0.0, 0.0, 1.0, 1.0)


def check(folder: str | os.PathLike) -> None:
    """Raises before anything is compared if nothing could be shown afterwards."""
    import tensorflow  # noqa: F401

    files.writable_folder(folder)


def show(folder: str | os.PathLike, rows_by_role: Mapping[str, Sequence[Row]], sounds: Mapping[str, AudioTable]):
    """Writes an event file: what is drawn of each row, its sound and its headline scores.

    Args:
        folder: of the event file; tensorboard --logdir shows it.
        rows_by_role: the rows of the tables of timing.
        sounds: the tables of sound.
    """
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        for role, rows in rows_by_role.items():
            human = next((row for row in rows if row.kind == "human" and row.floor is not None), None)
            for row in rows:
                _show_row(tf, f"{role}/{row.name}", row, human)
        for role, part in sounds.items():
            _show_sound(tf, role, part)
    writer.close()


def _show_row(tf, name: str, row: Row, human: Row | None) -> None:
    if row.scores.get(HEADLINE) is not None:
        tf.summary.scalar(f"{name}/{HEADLINE}", row.scores[HEADLINE])
    if row.floor is not None and human is not None:
        for title, draw, height, box in figures.timing_figures(row, human):
            _show_picture(tf, f"{name}/{title}", figures.pixels(draw, 2.9, height, box, dpi=200))
    if row.excerpt is not None:
        for title, draw, height in _pictures(row.excerpt):
            _show_picture(tf, f"{name}/{title}", figures.pixels(draw, 12, height, WHOLE))
        stereo = np.stack([row.excerpt.own_audio, row.excerpt.partner_audio], axis=1)
        tf.summary.audio(f"{name}/sound", stereo[None].clip(-1, 1), row.excerpt.sample_rate)


def _show_sound(tf, role: str, part: AudioTable) -> None:
    drawn = [row for row in part.rows if row.kind == "model"] or part.rows
    proxies = [
        column for column in columns.columns() if any(column.percent_of(row.scores) is not None for row in drawn)
    ]
    if proxies:
        draw, width, height, box = figures.proxies_figure(proxies, drawn)
        _show_picture(tf, f"{role}/sound between noise and speech", figures.pixels(draw, width, height, box, dpi=200))


def _pictures(shown: Excerpt) -> list[tuple[str, Callable[[Axes], None], float]]:
    """Title, drawing and height in inches of what the gallery shows."""
    return [
        ("speech", lambda ax: figures.draw_strip(ax, shown.own, shown.partner, shown.seconds), 0.4),
        (
            "waveform",
            lambda ax: figures.draw_waveform(ax, shown.own_audio, shown.partner_audio, shown.sample_rate),
            1.3,
        ),
        ("mel spectrogram", lambda ax: figures.draw_spectrogram(ax, shown.own_audio, shown.sample_rate), 1.1),
    ]


def _show_picture(tf, name: str, picture: np.ndarray) -> None:
    tf.summary.image(name, picture[None])
