"""What every model must do, whatever it is made of: a model's own test is its tiny sizes and its shapes.

class TestWaveNet(harness.TrainedContract):
    name = "wavenet"
    sizes = dict(channels=6, ...)
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from tests.zoo.subjects import BATCH, CHANGED, FRAMES, ROLES, VOICES, Subject, clip, count, run_config, shake, tiny
from zoo import descent, export, generation, objective, registry, runs

TOLERANCE = 1e-4


def same(found, wanted, tolerance: float = TOLERANCE) -> None:
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def differs(one, two, tolerance: float = 1e-5) -> bool:
    return bool(np.abs(np.asarray(one, np.float64) - np.asarray(two, np.float64)).max() > tolerance)


def drawn_from(levels: np.ndarray, logits: np.ndarray, uniform: np.ndarray, slack: float = TOLERANCE) -> np.ndarray:
    """Whether each of `levels` [...] is what inverting the softmax of `logits` [..., n] at `uniform` [...] gives."""
    probability = np.exp(logits - logits.max(axis=-1, keepdims=True))
    above = np.cumsum(probability / probability.sum(axis=-1, keepdims=True), axis=-1)
    upper = np.take_along_axis(above, levels[..., None], axis=-1)[..., 0]
    lower = np.where(levels > 0, np.take_along_axis(above, np.maximum(levels - 1, 0)[..., None], axis=-1)[..., 0], 0.0)
    return (lower - slack <= uniform) & (uniform <= upper + slack)


class ModelContract:
    """Tests of one model; subclasses say which and how small."""

    name: str
    sizes: dict
    compiled = False  # whether the fused engine has a loop of its own
    engines_agree = 0.98  # in so many samples
    heard_in: tuple[str, ...] = ("toggle",)
    voiced_in: tuple[str, ...] = ("condition",)

    @pytest.fixture(scope="class")
    def subject(self) -> Subject:
        subject = Subject(tiny(self.name, **self.sizes))
        self.count(subject.model)
        return subject

    def count(self, model) -> None:
        """Sets what a model counts beside what all do."""

    @pytest.fixture
    def silent(self, subject):
        """The subject while its gate never opens."""
        weights = (subject.model.dialogue.table, subject.model.sound.room_level)
        before = [weight.numpy() for weight in weights]
        for weight, value in zip(weights, (-40.0, 2e-3), strict=True):
            weight.assign(np.full(weight.shape, value))
        yield subject
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)

    # What it is.

    def test_every_preset_builds(self):
        for preset, sizes in registry.models()[self.name].presets.items():
            model = registry.models()[self.name].model_class(sizes)
            assert model.built and model.count_params() > 0, preset
            assert {layer.name for layer in model.layers} >= {"dialogue", "acoustic", "sound"}, preset

    def test_shapes(self, subject):
        found = subject.predictions()
        frames = (BATCH, FRAMES)
        assert found["toggle"].shape == found["code"].shape == found["gate_before"].shape == frames
        assert found["code_logits"].shape == (*frames, subject.model.acoustic.codes)
        self.sound_is_shaped(subject, found["condition"])
        audio, gate, _ = subject.generate(subject.partner)
        assert audio.shape == subject.partner.shape and gate.shape == frames
        assert np.isfinite(audio).all() and np.abs(audio).max() <= 1 and set(np.unique(gate)) == {0.0, 1.0}

    def sound_is_shaped(self, subject, condition):
        logits = subject.sound_logits(subject.own, subject.gate, condition)
        assert logits.shape == (BATCH, FRAMES * subject.config.hop, subject.model.sound.coding.parameters)

    # Causality. Each test also shows that the change is heard afterwards.

    def test_the_partner_is_heard_from_the_next_frame_on(self, subject):
        one, two = subject.predictions(), subject.predictions(partner=subject.other(subject.partner))
        for key in self.heard_in:
            same(one[key][:, : CHANGED + 1], two[key][:, : CHANGED + 1], 1e-5)
            assert differs(one[key][:, CHANGED + 1 :], two[key][:, CHANGED + 1 :]), key

    def test_the_own_gate_is_decided_on_its_past(self, subject):
        other = subject.gate.copy()
        other[:, CHANGED] = 1 - other[:, CHANGED]
        one, two = subject.predictions(), subject.predictions(gate=other)
        same(one["toggle"][:, : CHANGED + 1], two["toggle"][:, : CHANGED + 1], 1e-5)
        assert differs(one["toggle"][:, CHANGED + 1 :], two["toggle"][:, CHANGED + 1 :])
        same(one["code_logits"][:, :CHANGED], two["code_logits"][:, :CHANGED], 1e-5)

    def test_a_sample_is_predicted_from_those_before(self, subject):
        gate = np.ones_like(subject.gate)
        condition = subject.predictions(gate=gate)["condition"]
        at = CHANGED * subject.config.hop + 7
        other = subject.own.copy()
        other[:, at] = -np.sign(other[:, at]) * 0.7
        one, two = (subject.sound_logits(own, gate, condition) for own in (subject.own, other))
        same(one[:, : at + 1], two[:, : at + 1], 1e-5)
        assert differs(one[:, at + 1], two[:, at + 1])

    def test_generation_hears_the_partner_from_the_next_frame_on(self, subject):
        heard = (subject.partner, subject.other(subject.partner))
        (one, one_gate, _), (two, two_gate, _) = (subject.generate(partner) for partner in heard)
        one, two = subject.frames(one), subject.frames(two)
        np.testing.assert_array_equal(one[:, : CHANGED + 1], two[:, : CHANGED + 1])
        np.testing.assert_array_equal(one_gate[:, : CHANGED + 1], two_gate[:, : CHANGED + 1])
        assert differs(one[:, CHANGED + 1 :], two[:, CHANGED + 1 :])

    def test_a_step_hears_the_partner_after_it_has_spoken(self, subject):
        _, _, state = subject.generate(subject.partner)
        frames = [subject.frames(subject.partner)[:, t] for t in (0, 1)]
        assert differs(*frames)
        (one, one_gate, after_one), (two, two_gate, after_two) = (subject.step(f, state, 0, 1.0) for f in frames)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one_gate, two_gate)
        assert differs(after_one["mel"], after_two["mel"])

    # One dialogue, told in several ways.

    def test_observing_in_pieces_is_observing_the_whole(self, subject):
        whole, end = subject.observe(subject.own, subject.gate, subject.partner, subject.start())
        state, parts, hop = subject.start(), [], subject.config.hop
        for a, b in ((0, 1), (1, 2), (2, 9), (9, FRAMES)):
            own, partner = (channel[:, a * hop : b * hop] for channel in (subject.own, subject.partner))
            part, state = subject.model.observe(own, subject.gate[:, a:b], partner, state)
            parts.append(part)
        same({key: np.concatenate([part[key] for part in parts], axis=1) for key in whole}, dict(whole))
        same(state, end)

    def test_generating_in_pieces_is_generating_the_whole(self, subject):
        audio, gate, end = subject.generate(subject.partner)
        cut, state, parts = 10 * subject.config.hop, None, []
        for piece in (subject.partner[:, :cut], subject.partner[:, cut:]):
            part, part_gate, state = subject.generate(piece, state)
            parts.append((part, part_gate))
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts], axis=1), audio)
        np.testing.assert_array_equal(np.concatenate([part_gate for _, part_gate in parts], axis=1), gate)
        same(state, end, 0.0)

    def test_step_by_step_is_generate(self, subject):
        audio, gate, end = subject.generate(subject.partner)
        state = subject.start()
        for t, heard in enumerate(subject.frames(subject.partner).transpose(1, 0, 2)):
            frame, open_now, state = subject.step(heard, state, tf.constant(0), tf.constant(1.0))
            np.testing.assert_array_equal(open_now, gate[:, t])
            same(frame, subject.frames(audio)[:, t])
        same(state, end)

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    def test_what_is_stepped_is_what_is_predicted(self, subject, temperature):
        """Teacher-forced over what it said itself, a model predicts what each draw was made from."""
        model, seed = subject.model, tf.constant(3)
        start = state = model.seeded(subject.start(), seed)
        audio, gate, _ = subject.generate(subject.partner, seed=3, temperature=temperature)
        told = []
        for t in range(FRAMES):
            shares = tf.random.stateless_uniform([BATCH, 2], tf.stack([seed, 4 * t]))
            _, code, condition, decided = subject.decide(state, seed)
            told.append((shares, code, condition, model.uniforms(state, seed)))
            _, _, state = subject.step(subject.frames(subject.partner)[:, t], state, seed, tf.constant(temperature))
            assert np.array_equal(decided["gate"], gate[:, t]) and np.array_equal(state["code"], code)
        shares, code, condition, uniforms = (np.stack(told_each, axis=1) for told_each in zip(*told, strict=True))
        predicted, _ = subject.observe(audio, gate, subject.partner, start)
        before = predicted["gate_before"].numpy()
        toggle = np.stack([predicted["toggle"], np.zeros_like(gate)], axis=-1)
        assert drawn_from((gate == before).astype(int), toggle, shares[..., 0]).all()
        code_before = np.concatenate([np.full((BATCH, 1), subject.model.acoustic.codes), code[:, :-1]], axis=1)
        age, spoken = _ages(gate), gate > 0
        told_before = [tf.constant(code_before), gate, age, predicted["context"], tf.constant(VOICES)]
        logits, _ = model.acoustic(*told_before, start["acoustic"])
        shut = model.acoustic.codes
        assert drawn_from(np.minimum(code, shut - 1), logits.numpy(), shares[..., 1])[spoken].all()
        assert (code[~spoken] == shut).all() and spoken.any() and not spoken.all()
        same(condition, model.acoustic.condition(code, code_before, age, predicted["context"], tf.constant(VOICES)))
        self.sound_is_drawn_from_what_is_predicted(subject, audio, gate, condition, uniforms, temperature)

    def sound_is_drawn_from_what_is_predicted(self, subject, audio, gate, condition, uniforms, temperature):
        spoken = gate > 0
        tokens = subject.frames(subject.model.sound.coding.encode(audio))
        predicted = subject.sound_logits(audio, gate, condition)
        predicted = predicted.reshape(*tokens.shape, predicted.shape[-1])
        if tokens.dtype == np.int32:
            assert drawn_from(tokens, predicted / temperature, uniforms)[spoken].all()
        else:
            same(subject.model.sound.coding.sample(predicted, uniforms, temperature)[spoken], tokens[spoken], 1e-3)
        assert len(np.unique(tokens[spoken])) > 20

    # Chance.

    def test_a_seed_repeats_and_two_differ(self, subject):
        (one, one_gate, _), (again, again_gate, _) = (subject.generate(subject.partner, seed=5) for _ in range(2))
        np.testing.assert_array_equal(one, again)
        np.testing.assert_array_equal(one_gate, again_gate)
        two, two_gate, _ = subject.generate(subject.partner, seed=6)
        assert differs(one, two) and differs(one_gate, two_gate)

    def test_the_temperature_is_of_the_sound_alone(self, subject):
        (warm, warm_gate, _), (cold, cold_gate, _) = (
            subject.generate(subject.partner, temperature=temperature) for temperature in (1.0, 0.1)
        )
        np.testing.assert_array_equal(warm_gate, cold_gate)
        assert differs(warm, cold)

    def test_roles_and_voices_count(self, subject):
        def predictions(roles, voices):
            state = subject.model.initial_state(BATCH, tf.constant(roles), tf.constant(voices))
            return subject.observe(subject.own, subject.gate, subject.partner, state)[0]

        one, other_role, other_voice = (
            predictions(ROLES, VOICES),
            predictions([1, 0], VOICES),
            predictions(ROLES, [0, 2]),
        )
        assert differs(one["toggle"], other_role["toggle"])
        same(one["toggle"], other_voice["toggle"])
        for key in self.voiced_in:
            assert differs(one[key], other_voice[key]), key
        beyond_the_table = predictions(ROLES, [voice + subject.config.voices for voice in VOICES])
        same(dict(one), dict(beyond_the_table), 0.0)

    def test_what_is_exported_says_the_same(self, subject, tmp_path):
        export.export(subject.model, tmp_path / "saved_model", run_config(self.name, subject.config))
        as_a_run = runs.open_run(tmp_path / "saved_model").model
        tf.nest.map_structure(np.testing.assert_array_equal, as_a_run.variables, subject.model.variables)
        agent = tf.saved_model.load(str(tmp_path / "saved_model"))
        state = subject.model.initial_state(BATCH)
        audio, gate, _ = subject.generate(subject.partner, state, seed=7)
        found, found_gate = agent.generate_with_gate(subject.partner, FRAMES / FRAMES_PER_SECOND, 7, 1.0)
        np.testing.assert_array_equal(found_gate, gate)
        same(found, audio)
        frame, _, _ = agent.step(subject.frames(subject.partner)[:, 0], agent.initial_state(BATCH), 7, 1.0)
        same(frame, subject.frames(audio)[:, 0])

    def test_what_keras_saves_says_the_same(self, subject, tmp_path):
        subject.model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        assert type(model) is type(subject.model) and model.config == subject.config
        tf.nest.map_structure(np.testing.assert_array_equal, model.weights, subject.model.weights)
        given = (subject.own, subject.gate, subject.partner)
        found, _ = model.observe(*given, model.initial_state(BATCH, tf.constant(ROLES), tf.constant(VOICES)))
        same(dict(found), subject.predictions())

    # Engines.

    @pytest.mark.parametrize("temperature", [1.0, 0.3])
    def test_the_fused_engine_is_the_graph(self, subject, temperature):
        assert bool(generation.kernel_of(subject.model, subject.start())) == self.compiled
        prompt, config = 3 * subject.config.hop, subject.config
        said = {}
        for engine in generation.ENGINES:
            said[engine] = generation.respond(
                subject.model, subject.own[:, :prompt], subject.partner[:, :prompt], subject.partner,
                ["giver", "follower"], VOICES, seed=2, temperature=temperature, engine=engine,
            )  # fmt: skip
        (fused, gate), (graph, graph_gate) = said["fused"], said["graph"]
        np.testing.assert_array_equal(gate, graph_gate)
        assert gate.any() and not gate.all() and differs(*subject.frames(fused)[:, :2].transpose(1, 0, 2))
        # A draw on the very edge between two levels may fall either way, and what follows it in that spurt.
        close = np.abs(fused - graph) < TOLERANCE
        assert close.mean() > self.engines_agree and close[:, : 3 * config.hop].all()

    def test_a_shut_gate_is_room_tone_and_nothing_is_sampled(self, silent):
        audio, gate, state = silent.generate(silent.partner)
        assert not gate.any() and (state["code"].numpy() == silent.model.acoustic.codes).all()
        assert audio.std() == pytest.approx(2e-3, rel=0.05) and np.abs(audio).max() <= 3**0.5 * 2e-3
        same(state["sound"], silent.model.sound.initial_state(BATCH), 0.0)
        fused, fused_gate = generation.respond(
            silent.model, audio[:, :0], audio[:, :0], silent.partner, ["giver", "follower"], VOICES, seed=0
        )
        np.testing.assert_array_equal(fused, audio)
        assert not fused_gate.any()


class TrainedContract(ModelContract):
    """Tests of a model that is trained, beside those of every model."""

    heard_in = ("toggle", "context", "condition", "code_logits")
    voiced_in = ("code_logits", "condition")
    overfit_steps, overfit_bits, overfit_share = 80, 0.5, 0.5
    averaged_steps = 1  # At the end, where a step tells little.
    overfit_rate, overfit_compiled = 1e-2, False

    def test_the_own_sound_is_heard_from_the_next_frame_on(self, subject):
        gate = np.ones_like(subject.gate)
        one, two = (subject.predictions(own, gate) for own in (subject.own, subject.other(subject.own)))
        same(one["code_logits"][:, : CHANGED + 1], two["code_logits"][:, : CHANGED + 1], 1e-5)
        assert differs(one["code_logits"][:, CHANGED + 1 :], two["code_logits"][:, CHANGED + 1 :])
        same(one["condition"][:, :CHANGED], two["condition"][:, :CHANGED], 1e-5)

    def test_what_lapses_in_training_does_not_in_evaluation(self):
        def terms(training, **sizes):
            model = tiny(self.name, **self.sizes, **sizes)
            shake(model)
            found = model.sums(clip(model.config), tf.constant([0, 0]), training)
            return {name: float(total) for name, (total, _) in found.items() if name != "finer"}

        wanted = terms(True)
        # In training value and gradient may come in one pass, which adds up in another order.
        same(terms(False), wanted, 1e-6)
        fields = {field.name for field in dataclasses.fields(registry.find(self.name)[1])}
        bent = {"scheduled_sampling": "code", "input_noise": "sound"}
        assert fields & bent.keys()
        for key in fields & bent.keys():
            same(terms(False, **{key: 0.5}), wanted, 1e-6)
            found = terms(True, **{key: 0.5})
            changed = {name for name in wanted if differs(found[name], wanted[name], 1e-3)}
            assert changed == {bent[key]}, key

    def test_one_clip_is_learned_by_heart(self):
        model = tiny(self.name, **self.sizes)
        count(model)
        batch, optimizer = clip(model.config, seconds=2.0), keras.optimizers.Adam(self.overfit_rate)
        optimizer.build(model.trainable_variables)

        @tf.function(autograph=False, jit_compile=self.overfit_compiled)
        def descend(step):
            with tf.GradientTape() as tape:
                terms = objective.sums(model, batch, tf.stack([0, step]))
                loss = objective.loss(terms)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
            )
            return terms

        found = [_figures(descend(tf.constant(step)), model) for step in range(self.overfit_steps)]
        late = found[-self.averaged_steps :]
        first, last = found[0], {key: float(np.mean([each[key] for each in late])) for key in found[0]}
        self.sound_is_learned(first, last, _finer_bits(model, batch))
        assert last["toggles_expected_over_observed"] == pytest.approx(1.0, abs=0.2)
        assert last["timing_bits_per_second"] < 0.2 * first["timing_bits_per_second"]
        self.timing_is_replayed(objective.predict(model, batch, tf.constant([0, 0])))

    def sound_is_learned(self, first, last, finer):
        """`finer`: bits that a sample has beyond 256 levels; those are not asked for."""
        assert last["sound_bits_per_sample"] - finer < self.overfit_bits

    def timing_is_replayed(self, told):
        """Every toggle of the clip, and no other, is likelier than not."""
        scored = told["scored"].numpy() > 0
        assert told["toggled"].numpy()[scored].sum() >= 5
        np.testing.assert_array_equal(told["toggle"].numpy()[scored] > 0, told["toggled"].numpy()[scored] > 0)

    def test_products_of_bfloat16_train_as_those_of_float32(self):
        def losses(mixed):
            model = tiny(self.name, **self.sizes)
            count(model)
            step, batch = descent.Descent(model, jit=False, mixed_bfloat16=mixed), clip(model.config)
            found = []
            for i in range(8):
                step.set_rates(49, 0.0)
                terms, norms = step(batch, tf.constant([0, i]))
                found.append(float(objective.loss(terms)))
                assert all(np.isfinite(norm) for norm in norms)
            assert all(weight.dtype == "float32" for weight in model.trainable_variables)
            return np.array(found)

        full, mixed = losses(False), losses(True)
        assert mixed[0] - mixed[-1] > 0.7 * (full[0] - full[-1]) > 0.0
        # The first step differs by rounding alone, but it does differ.
        assert mixed[0] != full[0] and mixed[0] == pytest.approx(full[0], rel=0.02)


def _figures(terms, model) -> dict:
    return objective.figures({name: (float(a), float(b)) for name, (a, b) in terms.items()}, model.config.hop)


def _finer_bits(model, batch) -> float:
    if not model.sound.coding:
        return 0.0
    example = objective.by_speaker(batch)
    _, bits = model.sound.coding.coarse(example["own_audio"])
    return bits.numpy()[example["gate"].numpy().repeat(model.config.hop, axis=1) > 0].mean()


def _ages(gate: np.ndarray) -> np.ndarray:
    """Frames in the present state, from an agent that was silent for one frame before the first."""
    ages = np.zeros(gate.shape, np.int32)
    for row in range(len(gate)):
        state, age = 0, 1
        for t, now in enumerate(gate[row]):
            age = age + 1 if now == state else 1
            state = ages[row, t] = now
            ages[row, t] = age
    return ages
