import builtins

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import subjects
from zoo import generation
from zoo.compiling import kernels_version
from zoo.fused import FusedSound
from zoo.wavenet import kernel

QUIET = np.zeros((1, 400), np.float32)
BROKEN = np.where(np.arange(400) == 5, np.nan, 0.0)[None].astype(np.float32)


@pytest.fixture(scope="module")
def model():
    model = subjects.tiny()
    subjects.shake(model)
    return model


def _respond(model, own=QUIET, heard=QUIET, partner=QUIET, role="giver", **options):
    return generation.respond(model, own, heard, partner, [role], [0], seed=0, **options)


@pytest.mark.parametrize(
    ("channels", "named"),
    [
        ({"own": BROKEN}, "the prompt has"),
        ({"heard": BROKEN}, "the partner's prompt has"),
        ({"partner": BROKEN}, "the partner has"),
    ],
)
def test_samples_that_are_not_finite_are_refused(model, channels, named):
    with pytest.raises(InputError, match=f"{named} samples that are not finite"):
        _respond(model, **channels)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (np.zeros((1, 60)), r"shape \(1, 60\); must be \[batch, 40\], 20 ms at 2000 Hz"),
        (np.zeros(40), r"shape \(40,\); must be \[batch, 40\]"),
        (np.zeros((2, 40)), "a batch of 2, and the state is of 1"),
        (BROKEN[:, :40], "not finite"),
    ],
)
def test_a_step_refuses_frames_that_are_not_of_its_dialogue(model, frame, says):
    with pytest.raises(InputError, match=says):
        model.step(tf.constant(frame, tf.float32), model.initial_state(1), seed=0)
    if "finite" not in says:
        with pytest.raises(InputError, match=says):
            tf.function(model.step, autograph=False)(tf.constant(frame, tf.float32), model.initial_state(1), 0)


def test_as_many_partners_as_roles(model):
    with pytest.raises(InputError, match="1, 1, 2, 1, 1; must be as many of each"):
        _respond(model, partner=np.concatenate([QUIET, QUIET]))


@pytest.mark.parametrize("engine", generation.ENGINES)
def test_a_dialogue_takes_no_more_memory_the_longer_it_is(model, engine):
    voice = generation.voice_of(model, model.initial_state(2), engine)
    before, traces = None, None
    for t in range(200):
        frame, _ = voice.speak(0, 1.0)
        voice.listen(frame[::-1])
        if t == 20:
            before, traces = _held(voice), _traces(model)
    assert _held(voice) == before and len(before) > 10 and _traces(model) == traces


def _held(owner, path: str = "") -> dict:
    """Shape and type of every array and tensor that an object holds, by where it is."""
    if hasattr(owner, "shape"):
        return {path: (tuple(owner.shape), owner.dtype)}
    if isinstance(owner, dict):
        items = owner.items()
    elif isinstance(owner, list | tuple):
        items = enumerate(owner)
    else:
        items = vars(owner).items() if type(owner).__module__.startswith("zoo.") else ()
    return {key: value for name, each in items for key, value in _held(each, f"{path}/{name}").items()}


def _traces(model) -> list[int]:
    return [f.experimental_get_tracing_count() for f in vars(generation.functions(model)).values()]


@pytest.mark.parametrize("engine", generation.ENGINES)
def test_a_voice_refuses_frames_that_are_not_of_its_dialogue(model, engine):
    voice = generation.voice_of(model, model.initial_state(1), engine)
    voice.speak(0, 1.0)
    for frame, says in (
        (np.zeros((1, 60)), r"shape \(1, 60\); must be \[batch, 40\]"),
        (np.zeros((2, 40)), "a batch of 2, and the state is of 1"),
        (BROKEN[:, :40], "not finite"),
    ):
        with pytest.raises(InputError, match=says):
            voice.listen(frame)


@pytest.mark.parametrize("engine", generation.ENGINES)
def test_memory_of_a_frame_may_be_used_again(model, engine):
    one, two = (generation.voice_of(model, model.initial_state(1), engine) for _ in range(2))
    loud, buffer = 0.3 * np.ones((1, 40), np.float32), np.zeros((1, 40), np.float32)
    for t in range(40):
        found, wanted = one.speak(0, 1.0), two.speak(0, 1.0)
        np.testing.assert_array_equal(found[0], wanted[0])
        buffer[:] = loud * (t % 2)
        one.listen(buffer)
        two.listen(loud * (t % 2))
        buffer[:] = 1.0


def test_unknown_roles_and_engines_are_refused_with_the_choices(model):
    with pytest.raises(InputError, match="role 'boss': must be one of giver, follower"):
        _respond(model, role="boss")
    with pytest.raises(InputError, match="--engine=fast: must be one of fused, int8, graph"):
        _respond(model, engine="fast")


def test_without_numba_the_graph_speaks_and_says_so(model, monkeypatch, capsys):
    wanted, _ = _respond(model, engine="graph")
    import_module = builtins.__import__

    def without_numba(name, *arguments):
        if name == "zoo.wavenet.kernel":
            raise ImportError("no numba")
        return import_module(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_numba)
    found, _ = _respond(model)
    np.testing.assert_array_equal(found, wanted)
    assert "the fused engine needs numba (no numba)" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["fused", "compile"])
def test_a_kernel_that_does_not_compile_falls_back_and_says_why(model, monkeypatch, capsys, where):
    wanted, _ = _respond(model, engine="graph")

    def fail(self, *arguments):
        raise RuntimeError("no such instruction\nand a page more")

    monkeypatch.setattr(type(model.sound) if where == "fused" else FusedSound, where, fail)
    found, _ = _respond(model)
    np.testing.assert_array_equal(found, wanted)
    said = capsys.readouterr().out
    assert said == (
        "the fused engine does not compile here (RuntimeError: no such instruction); going on with the graph\n"
    )


def test_machine_code_is_kept_for_these_kernels(model, capsys):
    assert generation.kernel_of(model, model.initial_state(1)) and capsys.readouterr().out == ""
    loop = kernel._speak_rows
    assert f"kernels-{kernels_version()}" in loop.stats.cache_path
    # Read or written, once for each signature.
    assert sum(loop.stats.cache_hits.values()) + sum(loop.stats.cache_misses.values()) == len(loop.signatures) >= 1


def test_a_duet_is_two_agents_who_hear_each_other(model):
    done = []
    audio, gate = generation.duet(model, 0.4, (0, 1), seed=1, engine="graph", progress=done.append)
    assert audio.shape == (2, 800) and gate.shape == (2, 20) and sum(done) == 20
    nothing = np.zeros((2, 0), np.float32)
    # Each alone against what the other said in the duet says the same again.
    again, again_gate = generation.respond(
        model, nothing, nothing, audio[::-1], ["giver", "follower"], (0, 1), seed=1, engine="graph"
    )
    np.testing.assert_array_equal(again, audio)
    np.testing.assert_array_equal(again_gate, gate)
    assert gate.any()
