"""Dialogues of somebody's own: what may be in the folder, and the scores by shipped norms."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from datasets import hazard
from datasets.dialogue import bridge, intervals_from_activity
from datasets.errors import InputError
from eval import norms, protocol, score, shape
from eval.chunks import cut_wholes
from eval.dialogues import read_dialogues
from eval.reference import BOTH
from tests.conftest import noise_bursts
from tests.eval.simulated_chunks import simulated_wholes

ROOT = pathlib.Path(__file__).parents[2]
A, B = np.array([[0.5, 1.5], [4.0, 5.0]]), np.array([[2.0, 3.5]])


def sound(intervals, seconds=6.0, rate=8000):
    return noise_bursts(intervals, seconds, rate, np.random.default_rng(0))


def rttm(path, *channels):
    lines = [
        f"SPEAKER x {k} {start:.3f} {end - start:.3f} <NA> <NA> s{k} <NA> <NA>\n"
        for k, intervals in enumerate(channels, 1)
        for start, end in intervals
    ]
    path.write_text("".join(lines))


def test_two_channels_a_pair_and_intervals_are_the_same_dialogue(tmp_path):
    (tmp_path / "stereo").mkdir(), (tmp_path / "pair").mkdir(), (tmp_path / "intervals").mkdir()
    soundfile.write(tmp_path / "stereo" / "talk.wav", np.stack([sound(A), sound(B)], axis=1), 8000)
    soundfile.write(tmp_path / "pair" / "talk.own.wav", sound(A), 8000)
    soundfile.write(tmp_path / "pair" / "talk.partner.wav", sound(B, rate=16000), 16000)
    rttm(tmp_path / "intervals" / "talk.rttm", A, B)
    for kind, detector in (("stereo", "energy"), ("pair", "energy"), ("intervals", None)):
        (whole,), used = read_dialogues(tmp_path / kind, detector, tmp_path / "cache")
        assert whole.dialogue == "talk" and used == (detector or "annotations")
        np.testing.assert_allclose(whole.own_ipus, A, atol=0.02)
        np.testing.assert_allclose(whole.partner_ipus, B, atol=0.02)
    assert read_dialogues(tmp_path / "stereo", "energy", tmp_path / "cache")[0][0].seconds == 6


def test_intervals_beside_sound_end_with_the_sound(tmp_path):
    soundfile.write(tmp_path / "talk.wav", np.zeros((8000 * 9, 2)), 8000)
    rttm(tmp_path / "talk.rttm", A, B)
    (whole,), detector = read_dialogues(tmp_path, "annotations")
    assert whole.seconds == 9 and detector == "annotations" and len(whole.own_ipus) == 2


@pytest.mark.parametrize(
    "names, said",
    [
        ([], "no dialogues in it"),
        (["a.own.wav"], "of a there are a.own.wav; wanted is one two-channel file, or a.own.wav and a.partner.wav"),
        (["a.wav", "a.own.wav", "a.partner.wav"], "wanted is one two-channel file"),
        (["a.wav", "b.rttm"], "has no intervals, and one detector serves all"),
    ],
)
def test_folders_that_are_not_clear_are_refused(tmp_path, names, said):
    for name in names:
        if name.endswith("wav"):
            soundfile.write(tmp_path / name, np.zeros((8000, 2)), 8000)
        else:
            rttm(tmp_path / name, A, B)
    with pytest.raises(InputError, match=said):
        read_dialogues(tmp_path)


def test_one_channel_is_no_dialogue(tmp_path):
    soundfile.write(tmp_path / "talk.wav", np.zeros(8000), 8000)
    with pytest.raises(InputError, match="has 1 channels, wanted is two channels"):
        read_dialogues(tmp_path, "energy")
    (tmp_path / "talk.wav").unlink()
    (tmp_path / "talk.csv").write_text("start,end,channel\n0,1,left\n")
    with pytest.raises(InputError, match="has one channel, 'left'; the timing of a dialogue needs both"):
        read_dialogues(tmp_path)


def test_channels_of_different_length_are_refused(tmp_path):
    soundfile.write(tmp_path / "talk.own.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "talk.partner.wav", np.zeros(8100), 8000)
    with pytest.raises(InputError, match="lasts 1.000 s and talk.partner.wav 1.012 s"):
        read_dialogues(tmp_path, "energy")


@pytest.mark.parametrize("detector", ["annotations", "silero"])
def test_shipped_norms_know_their_tables(detector):
    """Speakers sampled from the tables of a norm are as good as its humans, and better than if roles are exchanged."""
    by_role, statistics = norms.shipped_norms(detector)
    assert set(by_role) == {"giver", "follower", BOTH} and statistics["dialogues"] == 32
    assert {norm.detector for norm in by_role.values()} == {detector}
    tables = {role: by_role[role].tables for role in ("giver", "follower")}
    assert by_role[BOTH].tables == (tables["giver"], tables["follower"])
    wholes = []
    for i in range(12):
        gates = hazard.sample_dialogue(tables, 50 * 180, np.random.default_rng(i))
        ipus = [bridge(intervals_from_activity(gate)) for gate in gates]
        wholes.append(score.Chunk(f"d{i}", 0, 0.0, 180.0, *ipus))
    found = score.score_dialogues(wholes, by_role, ("giver", "follower"), draws=30)
    exchanged = score.score_dialogues(wholes, by_role, ("follower", "giver"), draws=30)
    assert found["both speakers"]["ttr"] > 0.6 and found["channel 1 as follower"]["ttr"] > 0.6
    assert found["both speakers"]["llr"] == pytest.approx(
        found["channel 0 as giver"]["llr"] + found["channel 1 as follower"]["llr"], abs=0.05
    )
    assert exchanged["channel 0 as follower"]["m"] < found["channel 0 as giver"]["m"]


def test_norms_score_as_the_reference_that_they_were_made_of(tmp_path):
    humans, train = simulated_wholes(14, role="giver"), simulated_wholes(14, seed=1, role="giver", prefix="t")
    made = {
        role: protocol.make_reference(side, learnt, list(range(14)), role, floor_draws=100)
        for role, side, learnt in (
            ("giver", humans, train),
            ("follower", norms_side(humans), norms_side(train)),
            (BOTH, humans, train),
        )
    }
    norms.save_norms(tmp_path / "norms.json", made, score.statistics(humans), {"corpus": "simulated"})
    read, statistics = norms.load_norms(tmp_path / "norms.json")
    assert statistics == pytest.approx(score.statistics(humans))
    chunks = cut_wholes(simulated_wholes(12, seed=2, role="giver", prefix="s"))
    for role in made:
        ours, theirs = (protocol.score(each[role], chunks, np.random.default_rng(0), draws=10) for each in (read, made))
        assert ours["ttr"] == pytest.approx(theirs["ttr"], abs=0.02), role
        assert ours["llr"] == pytest.approx(theirs["llr"])


def norms_side(wholes):
    return score.mirrored(wholes)


def test_other_files_are_no_norms(tmp_path):
    path = tmp_path / "norms.json"
    hazard.save_tables(path.with_suffix(".tables.json"), hazard.maptask_tables(), {})
    path.write_text('{"protocol": 99}')
    with pytest.raises(InputError, match="version 99 of the protocol, and this is 1"):
        norms.load_norms(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="not a file of norms"):
        norms.load_norms(path)
    with pytest.raises(InputError, match="no norms of it are shipped; take silero"):
        norms.shipped_norms("energy")


def test_histograms_keep_durations_to_ten_milliseconds():
    seconds = np.random.default_rng(0).uniform(-3, 5, 1000)
    again = norms._values("fto", norms._histogram("fto", seconds))
    assert np.abs(np.sort(seconds) - again).max() <= 0.0051
    assert norms._values("ipu", norms._histogram("ipu", np.zeros(0))).shape == (0,)
    assert shape.EventTable.of_sample(shape.EventTable(cut_wholes(simulated_wholes(2))).pool()).n_chunks == 1


def run_command(*arguments):
    code = (
        "import sys; from absl import flags; from eval import score\n"
        "score._define_flags()\n"
        "from datasets.errors import run_command\n"
        "def main(argv):\n"
        "    score.main(argv); print(sorted({n.split('.')[0] for n in sys.modules} & {'tensorflow', 'keras', 'zoo'}))\n"
        "run_command(main)\n"
    )
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_command_needs_no_corpus_and_no_tensorflow(tmp_path):
    for whole in simulated_wholes(12, seconds=70.0, role="giver"):
        rttm(tmp_path / f"{whole.dialogue}.rttm", whole.own_ipus, whole.partner_ipus)
    done = run_command(f"--wavs={tmp_path}", "--roles=giver,follower", f"--out={tmp_path / 'out' / 'scores.json'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Map Task, shipped norms" in done.stdout and "channel 1 as follower" in done.stdout
    content = (tmp_path / "out" / "scores.json").read_text()
    assert all(key in content for key in ('"protocol": 1', '"detector"', '"software"', '"per_dialogue"', '"seed"'))


def test_three_seconds_and_wrong_roles_end_in_one_line(tmp_path):
    rttm(tmp_path / "a.rttm", [[0.1, 1.0]], [[1.5, 3.0]])
    done = run_command(f"--wavs={tmp_path}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "3 s of dialogue are too short" in done.stderr
    with pytest.raises(InputError, match="--roles=giver: wanted are those of channel 0 and channel 1"):
        score._check_roles(["giver"], ["giver", "follower"])
