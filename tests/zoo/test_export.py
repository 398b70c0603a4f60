"""What a SavedModel does where nothing of ours can be imported, beside what the model does here."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from eval.agents import RunAgent, SavedModelAgent, open_agent
from tests.zoo import harness, subjects
from zoo import export, generation, runs

PROMPT_FRAMES = 6

ELSEWHERE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("zoo", "eval", "datasets", "babblezoo", "librosa", "numba"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf

agent = tf.saved_model.load(sys.argv[1])
given = dict(np.load(sys.argv[2]))
partner, prompt_own, prompt_partner = given["partner"], given["prompt_own"], given["prompt_partner"]
found = {"sample_rate": agent.sample_rate, "hop": agent.hop_samples}
seconds = float(given["seconds"])
found["first"] = agent.generate(partner, seconds, 7, 1.0)
found["second"] = agent.generate(partner, seconds=seconds, seed=7, temperature=1.0)
found["other"] = agent.generate(partner, seconds, seed=8)
found["audio"], found["gate"] = agent.generate_with_gate(partner, seconds, 7)
found["default"] = agent.generate(partner, seconds)
found["hung_up"] = agent.generate(partner, 2 * seconds, 7)
found["respond"], found["respond_gate"] = agent.respond(prompt_own, prompt_partner, partner, [0, 1], [1, 3], 5)
state, frames, gates = agent.initial_state(len(partner)), [], []
for frame in np.split(partner, partner.shape[1] // int(agent.hop_samples), axis=1):
    own, gate, state = agent.step(frame, state, seed=7, temperature=1.0)
    frames.append(own)
    gates.append(gate)
found["stepped"], found["stepped_gate"] = np.concatenate(frames, axis=1), np.stack(gates, axis=1)
own, gate, state = agent.step(partner[:, : int(agent.hop_samples)], agent.initial_state(2, 0, 3))
found["default_frame"], found["time"] = own, state["time"]
frame, state, broken = partner[:, : int(agent.hop_samples)], agent.initial_state(2), partner * np.float32("nan")
jitted = tf.function(agent.step, jit_compile=True, autograph=False)
found["compiled_frame"], _, _ = jitted(frame, agent.initial_state(2, 0, 3))

def says(call):
    try:
        call()
    except tf.errors.InvalidArgumentError as error:
        return str(error)
    return "nothing"

found["says"] = [
    says(lambda: agent.step(broken[:, : int(agent.hop_samples)], state)),
    says(lambda: agent.step(partner[:, :30], state)),
    says(lambda: agent.step(frame[:1], state)),
    says(lambda: agent.generate(broken, seconds)),
    says(lambda: agent.respond(prompt_own, prompt_partner, broken, [0, 1], [1, 3])),
    says(lambda: agent.respond(broken, prompt_partner, partner, [0, 1], [1, 3])),
    says(lambda: agent.respond(prompt_own, broken, partner, [0, 1], [1, 3])),
    says(lambda: agent.respond(prompt_own, prompt_partner, partner, [0], [1, 3])),
]
found["carries_the_graphs_of_generation"] = hasattr(agent.model, "step_functions")
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module")
def subject():
    return subjects.Subject(subjects.tiny())


def _respond(subject):
    prompt = PROMPT_FRAMES * subject.config.hop
    return generation.respond(
        subject.model, subject.own[:, :prompt], subject.partner[:, :prompt], subject.partner,
        ["giver", "follower"], [1, 3], seed=5, engine="graph",
    )  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(subject, tmp_path_factory) -> dict[str, np.ndarray]:
    """What the exported model gives in a process of its own."""
    folder = tmp_path_factory.mktemp("exported")
    _respond(subject)
    export.export(subject.model, folder / "saved_model")
    prompt = PROMPT_FRAMES * subject.config.hop
    np.savez(
        folder / "given.npz",
        partner=subject.partner,
        prompt_own=subject.own[:, :prompt],
        prompt_partner=subject.partner[:, :prompt],
        seconds=subjects.FRAMES / 50,
    )
    script = [sys.executable, "-I", "-c", ELSEWHERE, "saved_model", "given.npz", "found.npz"]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in folder.iterdir()) == ["found.npz", "given.npz", "saved_model"]
    return dict(np.load(folder / "found.npz"))


def test_generate_twice_is_the_same(elsewhere):
    np.testing.assert_array_equal(elsewhere["first"], elsewhere["second"])
    np.testing.assert_array_equal(elsewhere["first"], elsewhere["audio"])
    assert harness.differs(elsewhere["first"], elsewhere["other"])
    assert set(np.unique(elsewhere["gate"])) == {0.0, 1.0}


def test_step_by_step_is_generate(elsewhere):
    np.testing.assert_array_equal(elsewhere["stepped_gate"], elsewhere["gate"])
    harness.same(elsewhere["stepped"], elsewhere["first"])


def test_a_reloaded_model_gives_what_it_gave_before(subject, elsewhere):
    state = subject.model.initial_state(subjects.BATCH)
    audio, gate, _ = subject.generate(subject.partner, state, seed=7)
    np.testing.assert_array_equal(elsewhere["gate"], gate)
    harness.same(elsewhere["audio"], audio)


def test_defaults_are_seed_0_and_temperature_1(subject, elsewhere):
    state = subject.model.initial_state(subjects.BATCH)
    harness.same(elsewhere["default"], subject.generate(subject.partner, state, seed=0, temperature=1.0)[0])
    frame, _, _ = subject.step(subject.frames(subject.partner)[:, 0], subject.model.initial_state(2, 0, 3), 0, 1.0)
    harness.same(elsewhere["default_frame"], frame)
    assert elsewhere["time"] == 1


def test_bad_input_is_named(elsewhere):
    wanted = [
        "the partner's frame has samples that are not finite; was it read with the wrong sample format?",
        "a frame of the partner must be [batch, 40], 20 ms at 2000 Hz",
        "a frame of the partner and the state are of different batches",
        "the partner has samples that are not finite",
        "the partner has samples that are not finite",
        "the prompt has samples that are not finite",
        "the partner's prompt has samples that are not finite",
        "prompts, partners, roles and voices must be as many of each",
    ]
    for said, part in zip(elsewhere["says"], wanted, strict=True):
        assert part in said


def test_a_step_that_is_compiled_says_the_same(elsewhere):
    assert elsewhere["compiled_frame"].shape == elsewhere["default_frame"].shape
    assert np.isfinite(elsewhere["compiled_frame"]).all()


def test_respond_hears_the_prompt_as_a_run_does(subject, elsewhere):
    audio, gate = _respond(subject)
    np.testing.assert_array_equal(elsewhere["respond_gate"], gate)
    harness.same(elsewhere["respond"], audio)


def test_a_partner_who_hangs_up_is_silent(subject, elsewhere):
    samples = subject.partner.shape[1]
    assert elsewhere["hung_up"].shape == (subjects.BATCH, 2 * samples)
    np.testing.assert_array_equal(elsewhere["hung_up"][:, :samples], elsewhere["first"])


def test_what_was_made_for_generation_here_is_not_carried_along(elsewhere):
    assert not elsewhere["carries_the_graphs_of_generation"]


def test_rate_and_hop_are_told(subject, elsewhere):
    assert (elsewhere["sample_rate"], elsewhere["hop"]) == (subject.config.sample_rate, subject.config.hop)


def test_is_agent(subject, tmp_path):
    assert export.is_agent(export.agent_module(subject.model))
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    assert not export.is_agent(tf.saved_model.load(str(tmp_path / "other")))


def test_a_saved_model_is_a_run_as_well(subject, tmp_path):
    path = tmp_path / "mine" / "saved_model"
    path.parent.mkdir()
    export.export(subject.model, path, subjects.run_config("wavenet", subject.config))
    agent = open_agent(path, "int8")
    assert (type(agent), agent.name, agent.sample_rate) == (RunAgent, "mine", subject.config.sample_rate)
    assert agent.fingerprint != open_agent(path).fingerprint
    prompt = PROMPT_FRAMES * subject.config.hop
    given = subject.own[:, :prompt], subject.partner[:, :prompt], subject.partner
    for engine in ("fused", "graph", "int8"):
        found = open_agent(path, engine).respond_batch(*given, role="giver", seed=5)
        roles, voices = ["giver", "giver"], [1, 1]
        audio, gate = generation.respond(subject.model, *given, roles, voices, seed=5, engine=engine)
        np.testing.assert_array_equal([one.audio for one in found], audio)
        np.testing.assert_array_equal([one.gate for one in found], gate)
    first, _ = agent.duet(0.1, seed=2)
    assert first.audio.shape == (5 * subject.config.hop,)


def test_a_saved_model_of_other_sizes_than_it_says_is_refused(subject, tmp_path):
    path, config = tmp_path / "saved_model", subjects.run_config("wavenet", subject.config)
    export.export(subject.model, path, config | {"sizes": config["sizes"] | {"channels": 2}})
    with pytest.raises(InputError, match="not the weights of this wavenet"):
        runs.open_run(path)


def test_a_graph_alone_has_no_other_engine(subject, tmp_path):
    path = tmp_path / "saved_model"
    export.export(subject.model, path)
    assert type(open_agent(path)) is SavedModelAgent and type(open_agent(path, "graph")) is SavedModelAgent
    with pytest.raises(InputError, match="--engine=int8: .*saved_model has its graph alone"):
        open_agent(path, "int8")


def test_nothing_is_left_where_nothing_can_be_written(subject, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file: cannot write there"):
        export.export(subject.model, tmp_path / "file" / "saved_model")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
