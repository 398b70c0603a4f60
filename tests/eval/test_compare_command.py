"""`python -m eval.compare` as it is called: in its own process, on folders of wavs, where TensorFlow cannot load."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from datasets import corpora
from tests.conftest import ROOT, noise_bursts
from tests.eval.conftest import Talk

RATE = 16000
# What the command does is all real but for the corpus, the number of draws, and the slow proxies.
COMMAND = """
import functools, importlib.abc, sys
import numpy as np

class NoTensorFlow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "zoo"):
            raise ImportError(f"{name} is imported")

if "--allow" in sys.argv:
    sys.argv.remove("--allow")
else:
    sys.meta_path.insert(0, NoTensorFlow())

from datasets import corpora
from datasets.errors import run_command
from eval import compare, comparison
from eval.audio import extras, features, guards, signals
from tests.eval.audio import test_score
from tests.eval.conftest import Talk

def measure(audio, sample_rate, speech, damage, seed, rate):
    joined = signals.join(audio, sample_rate, speech)
    if not len(joined):
        return {"seconds": np.array(0.0)}
    rng = np.random.default_rng(abs(int(joined.sum() * 1e6)))
    worse = {"clean": 0.0, "gated noise": 3.0}.get(damage, 0.5)
    found = test_score.features(rng, shift=worse, voiced=0.7 - worse / 5)
    found["seconds"] = np.array(len(joined) / sample_rate)
    found["guards"][0] = guards.clipped_share(joined, sample_rate)
    return found | ({"blocks": np.zeros((0, 50), np.uint16)} if damage == "clean" else {})

features.measure, features._FEWEST_FOR_WORKERS = measure, 10**6
corpora.register("talk")(Talk)
compare.DEFAULT_SAMPLE_RATE = 16000
compare.Settings = functools.partial(comparison.Settings, draws=4, floor_draws=10, plan_sets=3)
compare._define_flags()
run_command(compare.main)
"""


def command(*arguments):
    return subprocess.run([sys.executable, "-c", COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True)


def sounds(dialogue):
    """What each folder holds as the answer in one dialogue: (samples or stereo, Hz)."""
    own = dialogue.audio[1, 30 * RATE : 90 * RATE]
    broken = own.copy()
    broken[1000] = np.nan
    return {
        "fine": (own, RATE),
        "silent": (np.zeros_like(own), RATE),
        "clipped": ((own * 30).clip(-1, 1), RATE),
        "one": (own[:1], RATE),
        "low": (noise_bursts([[1.0, 5.0], [9.0, 12.0]], 60.0, 8000, np.random.default_rng(0)), 8000),
        "stereo": (np.stack([own, own], axis=1), RATE),
        "infinite": (broken, RATE),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of answers of each kind, by name."""
    root = tmp_path_factory.mktemp("wavs")
    corpus = Talk(corpora.Options(cache_dir=root / "cache", sample_rate=RATE))
    for name in corpus.names("test"):
        for kind, (sound, rate) in sounds(corpus.load(name)).items():
            folder = root / kind / "follower"
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{name}-00.own.wav", sound, rate, subtype="FLOAT")
    return root


@pytest.fixture(scope="module")
def done(folders):
    """The command over all of them."""
    wavs = ",".join(str(folders / kind) for kind in ("silent", "clipped", "one", "low", "stereo", "infinite", "fine"))
    return command(
        "--corpus=talk", f"--wavs={wavs}", "--roles=follower", "--audio", f"--cache_dir={folders / 'cache'}",
        f"--out={folders / 'out'}", "--format=md",
    )  # fmt: skip


@pytest.mark.slow
def test_wavs_from_elsewhere_are_scored_without_tensorflow(done, folders):
    assert done.returncode == 0, done.stderr
    scores = json.loads((folders / "out" / "scores.json").read_text())
    timing, sound = (
        {row["name"]: row["scores"] for row in scores[part]["follower"]["rows"]} for part in ("roles", "audio")
    )
    assert (
        timing["fine"]["ttr"] > 0.3 and sound["fine"]["babble_quality"] > 80 and sound["human"]["babble_quality"] == 100
    )


@pytest.mark.slow
def test_each_malformed_folder_is_a_line_and_the_others_still_come(done):
    refused = {
        line.split(" ")[0]: line.split("left out: ")[1] for line in done.stderr.splitlines() if "left out: " in line
    }
    assert set(refused) == {"one", "stereo", "infinite"}
    assert refused["one"].endswith("test-0-00.own.wav: lasts 0.00 s and its chunk 60 s")
    assert "test-0-00.own.wav: has 2 channels, wanted is one channel" in refused["stereo"]
    assert "test-0-00.own.wav: has samples that are not finite" in refused["infinite"]
    notes = {line.split(": ")[0]: line for line in done.stdout.splitlines() if line.startswith("- ")}
    assert notes["- silent"] == "- silent: no speech was found in it, so its sound has no scores"
    assert notes["- clipped"].startswith("- clipped: clipped: ")
    assert "its sound has 8000 Hz and real speech here 16000 Hz" in notes["- low"]
    assert not {"- fine", "- one", "- stereo", "- infinite"} & set(notes)


@pytest.mark.slow
def test_markdown_is_all_that_goes_to_standard_output(done):
    lines = [line for line in done.stdout.splitlines() if line]
    assert all(line.startswith(("|", "**", "- ")) for line in lines), done.stdout
    rows = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert rows.count("| fine") == 2 and rows.count("| low") == 2 and rows.count("| gated noise") == 1
    assert sum(line.startswith("|:---|---:|") for line in lines) == 2
    assert "report.html" in done.stderr


@pytest.mark.slow
def test_figures_go_to_tensorboard(done, folders, tmp_path):
    """Merged, for that is fast: TensorFlow is imported with the flag, and not without it."""
    assert done.returncode == 0
    arguments = [f"--scores={folders / 'out' / 'scores.json'}", f"--out={tmp_path / 'out'}"]
    assert command(*arguments).returncode == 0
    refused = command(*arguments, f"--tensorboard={tmp_path / 'board'}")
    assert refused.returncode != 0 and "tensorflow is imported" in refused.stderr
    shown = command(*arguments, f"--tensorboard={tmp_path / 'board'}", "--allow")
    assert shown.returncode == 0, shown.stderr
    from tensorboard.backend.event_processing import event_accumulator

    found = event_accumulator.EventAccumulator(str(tmp_path / "board"), size_guidance={"tensors": 0})
    found.Reload()
    tags = set(found.Tags()["tensors"])
    for name in ("fine", "human", "hazard sampler"):
        wanted = {"ttr", "floor-transfer offset, s", "onsets a second, by silence in s", "waveform", "mel spectrogram"}
        assert {f"follower/{name}/{each}" for each in wanted} <= tags, sorted(tags)
    assert "follower/sound between noise and speech" in tags
    picture = found.Tensors("follower/fine/waveform")[0].tensor_proto.string_val
    assert [int(size) for size in picture[:2]] == [1200, 130]
