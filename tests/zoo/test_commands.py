"""Bad input to the commands: one line that says what is wrong, and nothing half written."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

from tests.zoo import commands, harness, subjects
from zoo.runs import FORMAT, RunFolder

RATE = subjects.SIZES["sample_rate"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder with weights, and partners good and bad."""
    folder = tmp_path_factory.mktemp("made")
    model = subjects.tiny()
    subjects.shake(model)
    run = RunFolder(folder / "run")
    run.path.mkdir()
    config = {"format": FORMAT, "model": "wavenet", "preset": "tiny", "sizes": dataclasses.asdict(model.config)}
    run.config.write_text(json.dumps({**config, "sample_rate": RATE, "corpus": {}, "seed": 0, "voices": [3, 1]}))
    run.write_weights(model)
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal((2 * RATE, 3))).astype(np.float32)
    soundfile.write(folder / "good.wav", sound[:, 0], RATE)
    soundfile.write(folder / "fast.wav", sound[:, 0], 2 * RATE)
    soundfile.write(folder / "three.wav", sound, RATE)
    soundfile.write(folder / "short.wav", sound[:10, 0], RATE)
    soundfile.write(folder / "stereo.wav", sound[:, :2], RATE)
    soundfile.write(folder / "empty.wav", sound[:0, 0], RATE)
    soundfile.write(folder / "nan.wav", np.where(np.arange(len(sound)) == 9, np.nan, sound[:, 0]), RATE, "FLOAT")
    (folder / "text.wav").write_text("this is not a wav, whatever its name says\n" * 50)
    return folder


@pytest.fixture
def here(made, tmp_path):
    """A copy of all that in a folder to work in."""
    shutil.copytree(made, tmp_path / "here")
    (tmp_path / "here" / "file").write_text("in the way")
    return tmp_path / "here"


def _refused(folder, module, *arguments, says):
    before = commands.tree(folder)
    done = commands.run(folder, module, *arguments)
    assert done.status in (1, 2), done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    for part in says:
        assert part in done.stderr, done.stderr
    assert commands.tree(folder) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["--model: which one?", "wavenet"]),
        (["--model=wavnet"], ["--model=wavnet: no such model (did you mean wavenet?)", "choices are"]),
        (["--model=wavenet", "--preset=giant"], ["--preset=giant: no such preset of wavenet", "tiny"]),
        (["--model=wavenet", "--corpus=simulatd"], ["--corpus=simulatd: no such corpus", "simulated"]),
        (["--model=wavenet", "--set=chanels=3"], ["--set=chanels: no such size (did you mean channels?)", "dilations"]),
        (["--model=wavenet", "--set=channels"], ["--set=channels: must be key=value"]),
        (["--model=wavenet", "--set=channels=many"], ["--set channels=many: must be of type int"]),
        (["--model=wavenet", "--corpus=maptask-voiced", "--data_dir=nowhere"], ["--data_dir=nowhere", "not a folder"]),
        (["--model=wavenet", "--runs_dir=file/runs"], ["file/runs", "cannot write there"]),
    ],
    ids=lambda value: value[-1].replace("/", ":") if value and value[-1].startswith("--") else "",
)
def test_train_refuses(here, arguments, says):
    _refused(here, "zoo.train", *arguments, says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["--run: which run folder?"]),
        (["--run=run"], ["--partner", "--duet"]),
        (["--run=run", "--duet", "--partner=good.wav"], ["--partner", "--duet"]),
        (["--run=nowhere", "--duet"], ["nowhere: not a run folder", "zoo.train makes one"]),
        (["--run=run", "--duet", "--out=file/out.wav"], ["file: cannot write there"]),
        (["--run=run", "--duet", "--voice=3"], ["--voice: 1 given; a duet has two"]),
        (["--run=run", "--partner=good.wav", "--voice=3", "--voice=1"], ["--voice: 2 given", "a partner has one"]),
        (["--run=run", "--duet", "--role=giver"], ["--role=giver: a duet has both"]),
        (["--run=run", "--partner=short.wav"], ["short.wav: lasts 0.0050 s, less than one frame"]),
        (["--run=run", "--partner=text.wav", "--out=new/out.wav"], ["text.wav: not a sound file"]),
        (["--run=run", "--partner=missing.wav"], ["missing.wav: no such sound file"]),
        (["--run=run", "--partner=text.wav"], ["text.wav: not a sound file"]),
        (["--run=run", "--partner=three.wav"], ["three.wav: has 3 channels"]),
        (["--run=run", "--partner=stereo.wav"], ["stereo.wav: has 2 channels, wanted is one channel"]),
        (["--run=run", "--partner=empty.wav"], ["empty.wav: has zero length"]),
        (["--run=run", "--partner=nan.wav"], ["nan.wav: has samples that are not finite"]),
        (
            ["--run=run", "--duet", "--seconds=1e12"],
            ["2 channels of 1e+12 s would take about", "GiB are free; ask for"],
        ),
        (["--run=run", "--partner=good.wav", "--seconds=1e12"], ["1 channels of 1e+12 s would take", "(--seconds)"]),
    ],
    ids=lambda value: value[-1].replace("/", ":") if value and value[-1].startswith("--") else "",
)
def test_generate_refuses(here, arguments, says):
    _refused(here, "zoo.generate", *arguments, says=says)


def test_generate_refuses_a_run_without_a_model(here):
    (here / "run" / "model.weights.h5").unlink()
    _refused(here, "zoo.generate", "--run=run", "--duet", says=["run: a run without a model"])


@pytest.mark.parametrize("damage", ["cut short", "not weights", "other sizes"])
def test_generate_refuses_damaged_weights(here, damage):
    weights, config = here / "run" / "model.weights.h5", here / "run" / "config.json"
    if damage == "cut short":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "not weights":
        weights.write_text("none")
    else:
        config.write_text(config.read_text().replace('"channels": 4', '"channels": 6'))
    _refused(here, "zoo.generate", "--run=run", "--duet", says=["model.weights.h5: not the weights of this wavenet"])


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 999}', '{"model": "wavenet"}'])
def test_generate_refuses_a_foreign_configuration(here, text):
    (here / "run" / "config.json").write_text(text)
    _refused(here, "zoo.generate", "--run=run", "--duet", says=["config.json: not the configuration of a run"])


def test_generate_answers_a_partner_at_another_rate(here):
    done = commands.run(here, "zoo.generate", "--run=run", "--partner=fast.wav", "--out=new/answer.wav")
    assert done.status == 0, done.stderr
    assert done.stdout.count(f"fast.wav: resampled from {2 * RATE} to the model's {RATE} Hz") == 1
    assert done.stdout.count("resampled") == 1 and "times real time" in done.stdout
    sound, rate = soundfile.read(here / "new" / "answer.wav")
    assert sound.shape == (RATE, 2) and rate == RATE and np.abs(sound).max(axis=0).min() > 0.05
    rows = (here / "new" / "answer.csv").read_text().splitlines()
    assert rows[0] == "channel,start_seconds,end_seconds"
    speech = np.array([[float(value) for value in row.split(",")] for row in rows[1:]])
    assert set(speech[:, 0]) == {0, 1} and (speech[:, 1] < speech[:, 2]).all() and speech[:, 2].max() <= 1.0


def test_generate_makes_the_same_duet_from_the_same_seed(here):
    for name in ("one", "again"):
        done = commands.run(
            here, "zoo.generate", "--run=run", "--duet", "--seconds=1.5", "--seed=3", f"--out={name}.wav"
        )
        assert done.status == 0, done.stderr
    assert (here / "one.wav").read_bytes() == (here / "again.wav").read_bytes()
    sound, _ = soundfile.read(here / "one.wav")
    assert sound.shape == (1.5 * RATE, 2) and harness.differs(*sound.T)
    assert (here / "one.csv").read_text() == (here / "again.csv").read_text()


def test_list_shows_the_models(here):
    done = commands.run(here, "zoo.list")
    assert done.status == 0 and "wavenet" in done.stdout and "tiny" in done.stdout, done.stderr
