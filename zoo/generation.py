"""Loops over the step contract: an answer to a partner, and a duet of two agents."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from datasets.errors import InputError
from zoo import hearing
from zoo.agent import ROLES, DialogueModel

_PIECE_FRAMES = 50


def respond(
    model: DialogueModel,
    prompt_own: np.ndarray,
    prompt_partner: np.ndarray,
    partner: np.ndarray,
    roles: Sequence[str],
    voices: Sequence[int],
    *,
    seed: int,
    temperature: float = 1.0,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's channel against given partners; see `zoo.runs.Run.respond_batch`.

    Args:
        progress: called with the number of frames done since the last call.
    """
    state = prompted_state(model, prompt_own, prompt_partner, roles, voices)
    hop, batch = model.config.hop, len(roles)
    n_frames = partner.shape[1] // hop
    partner = tf.constant(partner[:, : n_frames * hop], tf.float32)
    piece = _compiled(model)
    audio, gates = [np.zeros([batch, 0], np.float32)], [np.zeros([batch, 0], bool)]
    for start in range(0, n_frames, _PIECE_FRAMES):
        frames = min(_PIECE_FRAMES, n_frames - start)
        heard = partner[:, start * hop : (start + frames) * hop]
        sound, gate, state = piece(heard, tf.constant(frames), state, tf.constant(seed), tf.constant(temperature))
        audio.append(sound.numpy())
        gates.append(gate.numpy() > 0)
        if progress:
            progress(frames)
    return np.concatenate(audio, axis=1), np.concatenate(gates, axis=1)


def prompted_state(model, prompt_own, prompt_partner, roles, voices) -> dict:
    """The state after a prompt of both channels, each float32 [n, samples] (the end of it that is whole frames)."""
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise InputError(f"role {unknown[0]!r}: must be one of {', '.join(ROLES)}")
    hop = model.config.hop
    indices = tf.constant([ROLES.index(role) for role in roles])
    state = model.initial_state(len(roles), indices, tf.constant(list(voices), tf.int32) % model.config.voices)
    n_frames = min(prompt_own.shape[1], prompt_partner.shape[1]) // hop
    if not n_frames:
        return state
    own, partner = (tf.constant(x[:, x.shape[1] - n_frames * hop :], tf.float32) for x in (prompt_own, prompt_partner))
    speech = hearing.level_db(own, model.config.sample_rate) > model.dialogue.speech_db
    return model.observe(own, hearing.bridged_gate(speech), partner, state)[1]


def duet(
    model: DialogueModel,
    seconds: float,
    voices: tuple[int, int],
    *,
    seed: int,
    temperature: float = 1.0,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two copies of an agent talk to each other, giver and follower.

    Returns:
        audio float32 [2, samples], gate bool [2, frames].
    """
    hop, n_frames = model.config.hop, round(seconds * 50)
    state = model.initial_state(2, tf.constant([0, 1]), tf.constant(list(voices), tf.int32) % model.config.voices)
    step = tf.function(lambda state, seed, temperature: _duet_step(model, state, seed, temperature), autograph=False)
    audio, gates = np.zeros([2, n_frames, hop], np.float32), np.zeros([2, n_frames], bool)
    for t in range(n_frames):
        frame, gate, state = step(state, tf.constant(seed), tf.constant(temperature))
        audio[:, t], gates[:, t] = frame.numpy(), gate.numpy() > 0
        if progress and (t + 1) % _PIECE_FRAMES == 0:
            progress(_PIECE_FRAMES)
    return audio.reshape(2, -1), gates


def _duet_step(model, state, seed, temperature):
    frame, gate, state = model.speak(state, seed, temperature)
    return frame, gate, model.listen(frame[::-1], state)


def _compiled(model):
    """The model's generate as a graph, traced once a model."""
    if not hasattr(model, "compiled_generate"):
        model.compiled_generate = tf.function(model.generate, autograph=False, reduce_retracing=True)
    return model.compiled_generate
