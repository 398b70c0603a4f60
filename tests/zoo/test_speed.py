import json

import numpy as np
import pytest

from datasets.errors import InputError
from tests.zoo import commands, subjects, test_samplernn
from zoo import cost, generation, matched, speed
from zoo.roofline import Roofline, peak_bytes_per_second, peak_multiply_adds_per_second, peak_products_per_second
from zoo.speed import Stream


def _stream(frame_seconds, cpu_seconds, **more) -> Stream:
    stream = Stream("wavenet", "tiny", "fused", None, 1000, 20, **more)
    stream.frame_seconds = [np.array(frames) for frames in frame_seconds]
    stream.cpu_seconds, stream.resident_mib = cpu_seconds, [100.0, 101.0]
    return stream


def test_figures_counted_by_hand():
    stream = _stream([[0.01, 0.03], [0.01, 0.01]], [0.02, 0.02], streams=2, multiply_adds=500.0)
    found = speed.figures(stream, Roofline())
    # Two rounds of two frames of 20 samples on two channels.
    assert found["samples_per_second_range"] == pytest.approx([80 / 0.04, 80 / 0.02])
    assert found["samples_per_second"] == pytest.approx(3000.0)
    assert found["samples_per_cpu_second"] == pytest.approx(4000.0)
    assert found["times_real_time"] == pytest.approx(1.5)
    assert found["frame_ms"]["p50"] == pytest.approx(10.0) and found["frame_ms"]["max"] == pytest.approx(30.0)
    assert found["gflop_per_second"] == pytest.approx(2 * 500 * 3000 / 1e9)
    assert found["memory_growth"] == pytest.approx(0.01) and "share_of_roofline" not in found


def test_the_lower_of_two_roofs_counts():
    # A multiply-add reads four bytes.
    roof = Roofline({32: 1e9, 8: 1e10}, {100: 2e9, 10: 8e9})
    assert roof.samples_per_second(1e6, 100) == pytest.approx(500.0)
    assert roof.samples_per_second(1e6, 10) == pytest.approx(1000.0)
    # One byte.
    assert roof.samples_per_second(1e6, 100, bits=8) == pytest.approx(2000.0)
    stream = _stream([[0.1], [0.1]], [0.1, 0.05], multiply_adds=1e6, weight_bytes=100)
    found = speed.figures(stream, roof)
    assert found["share_of_roofline"] == pytest.approx(200 / 500)
    assert found["share_of_roofline_by_cpu"] == pytest.approx(300 / 500)


@pytest.mark.slow
def test_this_machine_has_a_roof():
    assert peak_multiply_adds_per_second() > 1e8 and peak_products_per_second() > 1e8
    assert peak_bytes_per_second(2**14) > 0.5 * peak_bytes_per_second(2**26) > 1e7
    roof = Roofline()
    roof.measure([2**14])
    assert set(roof.multiply_adds_per_second) == {32, 8}
    before = roof.bytes_per_second[2**14]
    roof.measure([2**14])
    assert roof.bytes_per_second[2**14] >= before > 0


@pytest.mark.slow
def test_a_model_speaks_or_is_silent_all_the_time():
    model = subjects.tiny("samplernn", **test_samplernn.SIZES)
    streams = [speed.of_model("samplernn", "tiny", engine, model, 2, gate) for engine, gate in
               (("fused", True), ("graph", True), ("fused", False))]  # fmt: skip
    speed.time_in_turn(streams, 0.1, rounds=2)
    rows = [speed.figures(stream, Roofline()) for stream in streams]
    assert [len(stream.frame_seconds) for stream in streams] == [2, 2, 2]
    assert all(len(frames) == 5 for stream in streams for frames in stream.frame_seconds)
    spoken, silent = rows[0]["multiply_adds_per_sample"], rows[2]["multiply_adds_per_sample"]
    a_second = sum(cost.multiply_adds(layer) * rate for layer, rate in model.sound.runs(2000))
    assert spoken - silent == pytest.approx(a_second / 2000) and silent > 0
    assert [len(line.split()) for line in speed.table(rows)][1:] == [17, 17, 18]


def test_what_has_no_loop_of_its_own_is_left_out():
    assert speed.of_model("hazard", "tiny", "fused", subjects.tiny("hazard", order=4)) is None


def test_weights_of_16_bits_are_of_samplernn():
    model = subjects.tiny("samplernn", **test_samplernn.SIZES)
    half, whole = (speed.of_model("samplernn", "tiny", engine, model) for engine in ("graph16", "graph"))
    assert (half.weight_bits, 2 * half.weight_bytes) == (16, whole.weight_bytes)
    assert speed.of_model("wavenet", "tiny", "graph16", subjects.tiny()) is None
    with pytest.raises(InputError, match="graph16: only SampleRNN .*; the engines here are fused, int8, graph$"):
        generation.voice_of(subjects.tiny(), subjects.tiny().initial_state(1), "graph16")
    # Multiplied as float32, after half the bytes.
    roof = Roofline({32: 1e9, 8: 1e10}, {100: 2e9, 10: 8e9})
    assert roof.samples_per_second(1e6, 100, bits=16) == pytest.approx(1000.0)


def test_the_peer_is_compared_round_by_round():
    ours = _stream([[0.01], [0.02], [0.04]], [0.01, 0.01, 0.01])
    ours.preset = matched.SMALL
    peer = _stream([[0.1], [0.4], [0.1]], [0.1, 0.2, 0.3])
    peer.model, peer.preset = matched.PEER, matched.SMALL
    found = matched.of_the_peer(ours, [ours, peer])
    assert found == {"times_the_peer": pytest.approx(10.0), "times_the_peer_by_cpu": pytest.approx(20.0)}
    assert matched.of_the_peer(peer, [ours, peer]) == {} == matched.of_the_peer(ours, [ours])
    ours.preset = matched.DECODER
    assert matched.of_the_peer(ours, [ours, peer]) == {}
    peer.model, peer.preset = matched.DECODER_PEER, matched.DECODER
    assert matched.of_the_peer(ours, [ours, peer]) == found and matched.of_the_peer(peer, [ours, peer]) == {}


@pytest.mark.slow
def test_the_decoder_of_the_papers_size_takes_as_many_steps_as_it_is_asked():
    streams = matched._decoders(["fused", "int8", "graph"])
    assert [stream.engine for stream in streams] == ["fused", "graph"]
    speed.time_in_turn(streams, 0.1, rounds=1)
    for stream in streams:
        assert [len(frames) for frames in stream.frame_seconds] == [5] and (stream.frame_seconds[0] > 0).all()
        # Prenet, two LSTMs that read what is attended to, attention, frames and the stop (Shen et al. 2018, section 2).
        lstms = 4 * 1024 * (256 + 512 + 1024) + 4 * 1024 * (1024 + 512 + 1024)
        attention = 1024 * 128 + 512 * 128 + 2 * 31 * 32 + 32 * 128
        assert stream.multiply_adds == 80 * 256 + 256 * 256 + lstms + attention + (1024 + 512) * 81


@pytest.mark.slow
def test_the_peers_decoder_is_of_the_same_size():
    pytest.importorskip("tacotron2_model", reason="the peer is not installed")
    ours, peer = matched._decoders(["graph"])[0], matched._decoder_peer()
    # Its energies are a matrix of one row.
    assert peer.multiply_adds == ours.multiply_adds + 128
    peer.run(2)
    assert len(peer.frame_seconds[0]) == 2


@pytest.mark.slow
def test_the_command_writes_what_it_shows(tmp_path):
    flags = ["--models=samplernn", "--seconds=0.1", "--rounds=2", "--json=speed.json", "--engines=fused"]
    done = commands.run(tmp_path, "zoo.benchmark", *flags)
    assert done.status == 0, done.stderr
    found = json.loads((tmp_path / "speed.json").read_text())["speed"]
    assert [row["speaking"] for row in found["rows"]] == [True, False] and found["machine"]["cores"] >= 1
    assert f"{found['rows'][0]['samples_per_second']:.0f}" in done.stdout


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--engines=fast"], "--engines=fast: no such engine"), (["--train", "--streams=2"], "--streams: of speaking"),
     (["--parts", "--streams=2"], "--parts: of the peers' sizes"),
     (["--jit"], "--jit: of training"),
     (["--models=wavenet", "--streams=100000000"], "100000000 channels would take about")],
)  # fmt: skip
def test_flags_that_do_not_go_together(tmp_path, flags, says):
    done = commands.run(tmp_path, "zoo.benchmark", *flags)
    assert done.status == 2 and says in done.stderr
