"""Agents: what is taken for a run, what is refused, and what they are asked."""

import json
import types

import numpy as np
import pytest

from datasets.errors import InputError
from eval import agents
from zoo import runs


def make_run(folder, sample_rate=8000, weights=b"weights"):
    folder.mkdir(parents=True)
    config = {"format": runs.FORMAT, "model": "wavenet", "sample_rate": sample_rate}
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        runs.RunFolder(folder).weights.write_bytes(weights)
    return folder


def test_finds_runs_with_and_without_a_model(tmp_path):
    ready, unready = make_run(tmp_path / "runs" / "b"), make_run(tmp_path / "runs" / "a", weights=None)
    (tmp_path / "runs" / "notes").mkdir()
    assert agents.find_runs(tmp_path / "runs") == ([ready], [unready])
    assert agents.find_runs(tmp_path / "nowhere") == ([], [])


def test_a_run_without_a_dialogue_is_no_agent(tmp_path):
    run = make_run(tmp_path / "runs" / "a")
    config = json.loads((run / "config.json").read_text()) | {"mode": "unconditional"}
    (run / "config.json").write_text(json.dumps(config))
    assert agents.find_runs(tmp_path / "runs") == ([], [])
    with pytest.raises(InputError, match="answers nobody"):
        agents.open_agent(run)


def test_run_agent_asks_the_run(tmp_path, monkeypatch):
    asked = {}

    def respond_batch(prompt_own, prompt_partner, partner, roles, voices=None, seed=0, progress=None, engine=None):
        asked.update(roles=roles, seed=seed, engine=engine)
        progress(partner.shape[1] // 160)
        return partner * 0.5, np.ones((len(partner), partner.shape[1] // 160), int)

    monkeypatch.setattr(runs, "open_run", lambda path: types.SimpleNamespace(respond_batch=respond_batch))
    agent = agents.open_agent(make_run(tmp_path / "mine"))
    assert (agent.name, agent.sample_rate) == ("mine", 8000)
    prompt, partner, frames = np.zeros((2, 800), np.float32), np.ones((2, 1600), np.float32), []
    first, second = agent.respond_batch(prompt, prompt, partner, role="giver", seed=3, progress=frames.append)
    assert asked == {"roles": ["giver", "giver"], "seed": 3, "engine": "fused"} and frames == [10]
    assert first.audio.shape == (1600,) and second.gate.dtype == bool and second.gate.shape == (10,)


def test_run_agent_knows_its_held_out_figures(tmp_path):
    run = make_run(tmp_path / "mine")
    assert agents.open_agent(run).held_out == {}
    (run / "held_out.json").write_text('{"sound_bits_per_16_bit_sample": 9.5}')
    assert agents.open_agent(run).held_out == {"sound_bits_per_16_bit_sample": 9.5}
    (run / "held_out.json").write_text("half a fi")
    with pytest.raises(InputError, match="held_out.json: no figures of an evaluation"):
        agents.open_agent(run)


def test_run_agent_talks_to_itself(tmp_path, monkeypatch):
    from zoo import generation

    asked = []

    def duet(model, seconds, voices, *, seed, engine, progress=None):
        asked.append((model, seconds, voices, seed, engine))
        return np.stack([np.zeros(1600), np.ones(1600)]), np.array([[False] * 10, [True] * 10])

    monkeypatch.setattr(generation, "duet", duet)
    monkeypatch.setattr(runs, "open_run", lambda path: types.SimpleNamespace(model="model"))
    first, second = agents.open_agent(make_run(tmp_path / "mine")).duet(0.2, seed=3)
    assert asked == [("model", 0.2, [0, 0], 3, "fused")]
    assert first.audio.shape == (1600,) and not first.gate.any() and second.gate.all()


def test_one_answer_is_a_batch_of_one(sampler):
    rng = np.random.default_rng(0)
    prompt, partner = rng.normal(0, 0.1, (2, 8000)).astype(np.float32), rng.normal(0, 0.1, 16000).astype(np.float32)
    alone = sampler().respond(*prompt, partner, role="giver", seed=1)
    (batched,) = sampler().respond_batch(*prompt[:, None], partner[None], role="giver", seed=1)
    np.testing.assert_array_equal(alone.audio, batched.audio)
    assert alone.gate.shape == (100,)


def test_fingerprint_follows_the_weights(tmp_path):
    prints = [
        agents.open_agent(make_run(tmp_path / name, weights=w)).fingerprint
        for name, w in zip("abc", (b"1", b"2", b"1"), strict=True)
    ]
    assert prints[0] != prints[1] and prints[0] == prints[2]


def test_equal_names_are_told_apart(tmp_path):
    paths = [make_run(tmp_path / folder / "demo") for folder in "ab"]
    assert [agent.name for agent in agents.open_agents(paths)] == ["demo", "demo-2"]


def test_refuses_different_rates(tmp_path):
    paths = [make_run(tmp_path / "low"), make_run(tmp_path / "high", 16000)]
    with pytest.raises(InputError, match=r"low 8000 Hz, high 16000 Hz"):
        agents.open_agents(paths)


def test_refuses_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        agents.open_agent(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither a run folder nor a SavedModel"):
        agents.open_agent(tmp_path)
    with pytest.raises(InputError, match="a run without a model"):
        agents.open_agent(make_run(tmp_path / "young", weights=None))
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not the configuration of a run"):
        agents.open_agent(other)


def test_refuses_a_saved_model_of_another_project(tmp_path):
    tf = pytest.importorskip("tensorflow")
    module = tf.Module()
    module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "double"))
    with pytest.raises(InputError, match="another project"):
        agents.open_agent(tmp_path / "double")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be loaded"):
        agents.open_agent(broken)
