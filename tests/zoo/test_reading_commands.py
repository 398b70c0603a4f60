"""The commands that train, score and speak a Tacotron that reads a text."""

import json
import re

import numpy as np
import pytest
import soundfile

from tests.zoo import commands, worded
from tests.zoo.test_reading import SMALLEST

FLAGS = [f"--set={key}={'+'.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in SMALLEST.items()]


# The first of those that need it takes the seconds of a training.
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with style tokens after two steps on noise bursts with words."""
    folder = tmp_path_factory.mktemp("reading") / "here"
    folder.mkdir()
    done = commands.run(
        folder, "zoo.train", "--model=tacotron", "--mode=text", "--corpus=worded", "--steps=2", "--name=reader",
        "--set=crop_seconds=1", *FLAGS, "--set=style_tokens=3", prepare=worded.use_worded,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    return folder, done


@pytest.mark.slow
def test_train_says_what_it_learns_from(trained):
    folder, done = trained
    assert re.search("[1-9][0-9]* breath groups with their words; [1-9][0-9]* are longer than 1 s", done.stdout)
    assert "minutes of speech with its words" in done.stdout and "held out: mel" in done.stdout
    config = json.loads((folder / "runs" / "reader" / "config.json").read_text())
    assert config["mode"] == "text" and config["sizes"]["style_tokens"] == 3
    assert (folder / "runs" / "reader" / "saved_model" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_score_takes_it_to_another_split(trained):
    folder, _ = trained
    done = commands.run(
        folder, "zoo.score", "--run=runs/reader", "--corpus=worded", "--split=test", prepare=worded.use_worded
    )
    assert done.status == 0, done.stderr
    assert "reader on test of worded: mel " in done.stdout and "bits/frame" in done.stdout


@pytest.mark.slow
def test_generate_reads_a_text_in_any_style(trained):
    folder, _ = trained
    rng = np.random.default_rng(0)
    soundfile.write(folder / "reference.wav", 0.1 * rng.standard_normal(16000), 16000)
    ways = {"plain": [], "style": ["--style=1+0+0"], "reference": ["--reference=reference.wav"]}
    for name, flags in ways.items():
        done = commands.run(
            folder, "zoo.generate", "--run=runs/reader", "--text=go to the left", f"--out={name}.wav", *flags
        )
        assert done.status == 0, done.stderr
        sound, rate = soundfile.read(folder / f"{name}.wav")
        assert rate == 8000 and sound.ndim == 1 and len(sound) % 200 == 0 and not (folder / f"{name}.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "reads a text; give one, --text="),
        (["--text=123"], "--text=123: has none of the letters a to z"),
        (["--text=go", "--duet"], "reads a text; it takes no --partner or --duet"),
        (["--text=go", "--temperature=0.5"], "reads a text; it takes no --temperature"),
        (["--text=go", "--style=1+0"], "--style=1.0+0.0: this run has 3 style tokens"),
        (["--text=go", "--style=much"], "--style=much: must be numbers, such as 0.3+0+0.7"),
        (["--text=go", "--style=1+0+0", "--reference=a.wav"], "--reference, --style: both say how to read"),
        (["--text=go", "--reference=missing.wav"], "missing.wav: no such sound file"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) and value else "",
)
def test_generate_refuses(trained, arguments, says):
    folder, _ = trained
    done = commands.run(folder, "zoo.generate", "--run=runs/reader", *arguments)
    assert done.status == 2 and done.stderr.startswith("error: ") and says in done.stderr, done.stderr


@pytest.mark.slow
def test_crops_of_dialogues_are_not_augmented_for_a_reader(trained):
    folder, _ = trained
    done = commands.run(
        folder, "zoo.train", "--model=tacotron", "--mode=text", "--corpus=worded", "--gain_db=3", "--name=louder",
        *FLAGS, prepare=worded.use_worded,
    )  # fmt: skip
    assert done.status == 2 and "--flip_roles, --gain_db: augment crops of dialogues" in done.stderr
