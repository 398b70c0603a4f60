"""All of a step but the sound, without TensorFlow: the gate, the code, what conditions the sound, and the ears.

`DialogueModel.decide` and `listen` are the reference; a parity test holds this to them. It is for the encoders of
`zoo.fused_layers` and for models that bring tiers of their own; others decide by the graph.
"""

import numpy as np

from datasets import hazard
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing
from zoo.acoustic import AcousticTier, PureTier
from zoo.compiling import compiled, part
from zoo.dialogue_tier import DialogueTier
from zoo.fused import exp, sigmoid
from zoo.fused_ears import Ears
from zoo.fused_layers import ENCODERS, Linear, product, uniforms
from zoo.pace import PRIOR_TOGGLES
from zoo.products import array
from zoo.unconditional import UnconditionalModel

_EDGES = (np.asarray(hazard.AGE_EDGES_SECONDS) * FRAMES_PER_SECOND).astype(np.float32)
_CELLS = hearing.N_CELLS
_PRIOR = np.float32(PRIOR_TOGGLES)
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_LOG_AGE = np.float32(0.25)


def tier_of(model, state: dict):
    """The tiers of a model, without TensorFlow, at a state of `initial_state`; or None where these are none of ours."""
    if type(model) is UnconditionalModel:
        return UnconditionalTier(model, state)
    if hasattr(model, "fused_tier"):
        return model.fused_tier(state)
    dialogue, acoustic = getattr(model, "dialogue", None), getattr(model, "acoustic", None)
    if type(dialogue) is not DialogueTier or type(dialogue.encoder) not in ENCODERS:
        return None
    if type(acoustic) is PureTier or type(acoustic) is AcousticTier and type(acoustic.encoder) in ENCODERS:
        return FusedTier(model, state)
    return None


class UnconditionalTier:
    """What a model decides that always speaks, and hears nobody.

    Args:
        model: `zoo.agent.Speaker`.
        state: of the model; without what belongs to the sound it goes on in here.

    Attributes:
        frame: how many frames were decided and heard.
        compiled_in: name of the file with the functions that take longest to compile.
    """

    compiled_in = "fused_layers"

    def __init__(self, model, state: dict):
        self._hop, self.frame = model.config.hop, int(state["time"])
        self._room = np.float32(12.0**0.5) * np.float32(model.sound.room_level)
        self._batch = len(state["gate"])
        nothing = np.zeros((1, model.sound.condition_channels), np.float32)
        # What conditions a frame is linear in the condition: so unit vectors give its matrix.
        bias = np.asarray(model.sound.frame_conditions(nothing))
        units = np.eye(model.sound.condition_channels, dtype=np.float32)
        self._shape = bias.shape[1:]
        self._conditions = np.zeros((0, bias.size), np.float32), bias.reshape(-1)
        if len(units):
            kernel = np.asarray(model.sound.frame_conditions(units)) - bias
            self._conditions = np.ascontiguousarray(kernel.reshape(len(units), -1)), bias.reshape(-1)

    def decide(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of this frame, from the past alone.

        Returns:
            The gate bool [batch]; what the compiled sound is conditioned on [batch, ...]; its random numbers [batch,
            hop] in [0, 1); and room tone [batch, hop].
        """
        gate, condition = self._decide(seed)
        kernel, bias = self._conditions
        conditions = (product(condition, kernel) + bias).reshape(self._batch, *self._shape)
        drawn = self._uniforms(seed, 1, self._hop)
        return gate, conditions, drawn, (drawn - np.float32(0.5)) * self._room

    def listen(self, partner_frame: np.ndarray) -> None:
        """Takes in the partner's float32 [batch, hop] of the frame that was decided last."""
        self.frame += 1

    def works(self) -> list:
        """What a frame takes, for `zoo.compiling.compile_by`; the tier is of no use afterwards."""
        return [lambda: self.decide(0), lambda: self.listen(np.zeros((self._batch, self._hop), np.float32))]

    def _decide(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(self._batch, bool), np.zeros((self._batch, 0), np.float32)

    def _uniforms(self, seed: int, stream: int, n: int) -> np.ndarray:
        return uniforms(seed, 4 * self.frame + stream, (self._batch, n))


class FusedTier(UnconditionalTier):
    """The dialogue and acoustic tiers of a model.

    Args:
        model: `zoo.agent.DialogueModel`.
        state: of the model.
    """

    compiled_in = "fused_tier"

    def __init__(self, model, state: dict):
        super().__init__(model, state)
        tier = model.dialogue
        self._ears = Ears(model.config, float(tier.speech_db), state)
        self._mel_mean, self._mel_scale = array(tier.mel_mean), array(tier.mel_scale)
        self._role, self._roles = np.array(state["role"]), np.eye(2, dtype=np.float32)[np.asarray(state["role"])]
        self._gate, self._age = np.array(state["gate"]), np.array(state["own_age"])
        self._project, self._context, self._residual = (
            Linear(tier.project), Linear(tier.context, "relu"), Linear(tier.residual),
        )  # fmt: skip
        self._encoder, self._acoustic = self._layers(model, state)
        self._table = array(tier.table)
        self._pace = [np.array(state["dialogue"]["pace"][key]) for key in ("gate", "hazard", "observed", "expected")]
        self._cue = tier.cue and [*(Linear(layer, "tanh") for layer in tier.cue.hidden), Linear(tier.cue.out)]
        self._share = array(tier.cue.share) if self._cue else np.zeros_like(self._table)
        self.code = np.array(state["code"])

    def listen(self, partner_frame: np.ndarray) -> None:
        super().listen(partner_frame)
        self._ears.hear(partner_frame)

    def works(self) -> list:
        decide, listen = super().works()
        context, drawn = (np.zeros((self._batch, n), np.float32) for n in (self._context.outputs, 2))
        return [decide, lambda: self._draw(context, drawn), listen]

    def _decide(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = self._uniforms(seed, 0, 2)
        condition = self._draw(self._toggle(drawn), drawn)
        return self._gate > 0, condition

    def _toggle(self, drawn: np.ndarray) -> np.ndarray:
        """Moves the gate on by what the ears heard and by random numbers [batch, 2]; returns the context [batch, n]."""
        ears = self._ears
        features = np.empty((self._batch, 4 + 2 * _CELLS), np.float32)
        heard = np.empty((self._batch, 4), np.float32)
        cells = np.empty((self._batch, 2), np.int64)
        _know_rows(features, heard, cells, self._gate, self._age, ears.quiet, ears.spurt, self._roles)
        mel = (ears.mel - self._mel_mean) / self._mel_scale
        context = self._context(self._read(np.concatenate([mel, ears.prosody], axis=1), features))
        logit = self._residual(context)[:, 0]
        cue = self._hear_cue(np.concatenate([ears.prosody, heard], axis=1))
        told = logit, cue, self._table, self._share, cells, self._role, ears.quiet, drawn
        _toggle_rows(self._gate, self._age, *told, *self._pace)
        return context

    def _draw(self, context: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Draws the code of a frame whose gate is decided, and returns the condition [batch, n]."""
        told = self._gate, np.log1p(self._age, dtype=np.float32)[:, None] * _LOG_AGE, context
        self.code, condition = self._acoustic(self.code, *told, drawn[:, 1])
        return condition

    def _layers(self, model, state: dict):
        """What reads, and what draws the codes."""
        encoder = ENCODERS[type(model.dialogue.encoder)](model.dialogue.encoder, state["dialogue"]["encoder"])
        return encoder, (Codes if type(model.acoustic) is AcousticTier else Pure)(model.acoustic, state)

    def _read(self, heard: np.ndarray, known: np.ndarray) -> np.ndarray:
        """What the context is made of: of what is heard [batch, n], and the features of `_know_rows`."""
        return np.maximum(self._encoder(self._project(np.concatenate([heard, known], axis=1))), _ZERO)

    def _hear_cue(self, x: np.ndarray) -> np.ndarray:
        """What the turn cue adds to the share, [batch]."""
        if not self._cue:
            return np.zeros(self._batch, np.float32)
        for layer in self._cue:
            x = layer(x)
        return x[:, 0]


class Pure:
    """As `zoo.acoustic.PureTier`: one code, which is there while the gate is open."""

    def __init__(self, tier, state: dict):
        self._codes = tier.codes
        self._voice = array(tier.voice.embeddings)[np.asarray(state["voice"])]
        self._conditioner = Linear(tier.conditioner, "tanh")

    def __call__(self, before, gate, log_age, context, uniform) -> tuple[np.ndarray, np.ndarray]:
        """The code int [batch] and the condition [batch, n] of this frame.

        Args:
            before: int [batch], the code before.
            gate: float32 [batch], of this frame.
            log_age: float32 [batch, 1], of the gate.
            context: float32 [batch, n].
            uniform: float32 [batch] in [0, 1), which decides the code.
        """
        condition = self._conditioner(np.concatenate([self._voice, context, log_age], axis=1))
        return np.where(gate > 0, 0, self._codes), condition


class Codes(Pure):
    """As `zoo.acoustic.AcousticTier`."""

    def __init__(self, tier, state: dict):
        super().__init__(tier, state)
        self._drive, self._logits = Linear(tier.drive), Linear(tier.logits)
        self._previous = array(tier.previous.embeddings)
        self._spectra = tier.spectra(np.arange(tier.codes + 1)).numpy()
        self._encoder = self._layers(tier, state)

    def __call__(self, before, gate, log_age, context, uniform):
        spectra = self._spectra[before]
        hidden = self._read(before, spectra, np.concatenate([context, gate[:, None], log_age], axis=1))
        code = np.full(len(gate), self._codes)
        _draw_rows(code, gate, self._logits(hidden), uniform)
        parts = [self._spectra[code], spectra, self._voice, context, log_age]
        return code, self._conditioner(np.concatenate(parts, axis=1))

    def _layers(self, tier, state: dict):
        """What reads."""
        return ENCODERS[type(tier.encoder)](tier.encoder, state["acoustic"])

    def _read(self, before, spectra, told) -> np.ndarray:
        """What the logits are made of: of the code before, its spectrum, and context, gate and age."""
        drive = self._drive(np.concatenate([told, spectra], axis=1))
        return np.maximum(self._encoder(self._previous[before] + self._voice + drive), _ZERO)


@compiled
def _draw_rows(codes, gate, logits, uniform):
    """As `zoo.layers.sample_categorical` where the gate is open; logits [batch, n] are spent."""
    for row in range(len(codes)):
        if gate[row] > 0:
            shares, total = logits[row], 0.0
            highest = shares[0]
            for i in range(1, len(shares)):
                highest = max(highest, shares[i])
            for i in range(len(shares)):
                shares[i] = exp(shares[i] - highest)
                total += np.float64(shares[i])
            threshold, until, code = np.float64(uniform[row]) * total, np.float64(shares[0]), 0
            while code < len(shares) - 1 and until < threshold:
                code += 1
                until += np.float64(shares[code])
            codes[row] = code


@part
def _cell(speaks, age):
    """As `zoo.hearing.cell`."""
    index = len(_EDGES) + 1 if speaks else 0
    for edge in _EDGES:
        index += age >= edge
    return index


@compiled
def _know_rows(features, heard, cells, gate, own_age, quiet, spurt, roles):
    """Features of the dialogue tier but mel and prosody, those of the turn cue but prosody, and both cells."""
    for row in range(len(gate)):
        own = cells[row, 0] = _cell(gate[row] > 0, own_age[row])
        partner = cells[row, 1] = _cell(quiet[row] == 0, quiet[row] if quiet[row] else np.int32(spurt[row] + 1))
        told = features[row]
        for i in range(len(told)):
            told[i] = _ZERO
        told[own] = told[_CELLS + partner] = _ONE
        told[2 * _CELLS] = np.log1p(np.float32(own_age[row])) * _LOG_AGE
        told[2 * _CELLS + 1] = np.log1p(np.float32(quiet[row])) * _LOG_AGE
        heard[row, 0] = np.log1p(np.float32(max(spurt[row] - quiet[row], 0))) * _LOG_AGE
        heard[row, 1] = told[2 * _CELLS]
        for i in range(2):
            told[2 * _CELLS + 2 + i] = heard[row, 2 + i] = roles[row, i]


@compiled
def _toggle_rows(
    gate,
    own_age,
    residual,
    cue,
    table,
    share,
    cells,
    role,
    quiet,
    drawn,
    gate_before,
    hazard_before,
    observed,
    expected,
):
    """As `zoo.turn_cue.TurnCue`, `zoo.pace.log_pace` and the draw of the gate; gate, age and pace go on in place."""
    for row in range(len(gate)):
        own, partner = cells[row, 0], cells[row, 1]
        logit = table[role[row], own, partner] + residual[row]
        speaks = gate[row] > 0
        if not speaks and quiet[row] > 0:
            known = share[role[row], own, partner]
            logit += _log_sigmoid(known + cue[row]) - _log_sigmoid(known)
        was = 1 if gate_before[row] > 0 else 0
        if gate[row] != gate_before[row] and hazard_before[row] > 0:
            observed[row, was] += _ONE
        expected[row, was] += hazard_before[row]
        gate_before[row], hazard_before[row] = gate[row], sigmoid(logit)
        now = 1 if speaks else 0
        logit += np.log((_PRIOR + observed[row, now]) / (_PRIOR + expected[row, now]))
        if drawn[row, 0] < sigmoid(logit):
            gate[row] = _ONE - gate[row]
            own_age[row] = 1
        else:
            own_age[row] += 1


@part
def _log_sigmoid(x):
    return min(x, _ZERO) - np.log1p(np.exp(-abs(x)))
