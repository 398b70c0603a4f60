"""Tacotron's sound: mel frames with their post-net and pulses as compiled loops, and what makes sound of them by numpy.

`MelSound.sample_frame` is the reference; the parity test holds this to it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from zoo import pitch
from zoo.compiling import compiled, inlined, part
from zoo.fused import CompiledSound, fill, rectify, span, tanh
from zoo.products import add_product, matrices, operand, room_for
from zoo.tacotron.sound import LOUDEST, MIDDLE_HZ, NEAREST, SHARPEST
from zoo.tacotron.vocoder import spread

_HALF, _ONE, _TWO = np.float32(0.5), np.float32(1.0), np.float32(2.0)
_SHARPEST, _LOUDEST, _MIDDLE_HZ = np.float32(SHARPEST), np.float32(LOUDEST), np.float32(MIDDLE_HZ)
_LOWEST_HZ, _HIGHEST_HZ = np.float32(pitch.LOWEST_HZ), np.float32(pitch.HIGHEST_HZ)
_UNIFORM_SPREAD, _LOWER_BITS = np.float32(12.0**0.5), np.float32(4096.0)


class Network(NamedTuple):
    """What mel frames are made by; matrices as of `zoo.products.matrices`.

    Attributes:
        hidden, hidden_bias, mel, mel_bias, voicing, voicing_bias: dense layers, [inputs, n] and [n].
        kernels, biases: of the layers of the post-net, [taps * width, channels] and [channels] each.
        starts: int64 [layers + 1], where in a row's buffer the history of a layer of the post-net lies.
        widths: int64 [layers], inputs of each.
        taps: of all.
    """

    hidden: Any
    hidden_bias: np.ndarray
    mel: Any
    mel_bias: np.ndarray
    voicing: Any
    voicing_bias: np.ndarray
    kernels: tuple
    biases: tuple
    starts: np.ndarray
    widths: np.ndarray
    taps: int


class NetworkScratch(NamedTuple):
    """What the mel frames are made on.

    Attributes:
        head, told: of the dense layers before the post-net, [n].
        past: [(taps - 1 + reduction) * widest], inputs of a layer of the post-net.
        outputs: [2, reduction, most channels], of every other layer.
        room: for the operands of products.
    """

    head: np.ndarray
    told: np.ndarray
    past: np.ndarray
    outputs: np.ndarray
    room: np.ndarray | None


class FusedMelSound(CompiledSound):
    """The sound tier of a Tacotron.

    Args:
        sound: `zoo.tacotron.sound.MelSound`.
        bits: of a weight (`zoo.products`).
    """

    def __init__(self, sound, bits: int = 32):
        super().__init__(sound)
        self._draws, inverse = sound.outputs == 2, sound.inverse
        self._shape, self._fft_length = (sound.reduction, sound.mel_bands), inverse.fft_length
        dense = [
            part
            for layer in (sound.hidden, sound.mel, sound.voicing)
            for part in (matrices(layer.kernel, bits), np.asarray(layer.bias))
        ]
        kernels = tuple(matrices(layer.kernel, bits) for layer in sound.postnet)
        biases = tuple(np.asarray(layer.bias) for layer in sound.postnet)
        widths = np.array([layer.kernel.shape[0] // layer.kernel_size for layer in sound.postnet])
        taps = sound.postnet[0].kernel_size
        self._starts = np.concatenate([[0], np.cumsum((taps - 1) * widths)])
        self._network = Network(*dense, kernels, biases, self._starts, widths, taps)
        widest, steps = int(widths.max()), sound.reduction
        outputs = 2, steps, max(len(bias) for bias in biases)
        # What the mel frames are made on, and the longest vector that meets a matrix.
        self._shapes = len(dense[1]), len(dense[3]), (taps - 1 + steps) * widest, outputs
        self._longest = max(*sound.hidden.kernel.shape, taps * widest)
        # After the histories of the post-net: the vocoder's source and sound, and the phase.
        hop, length = inverse.hop, inverse.fft_length
        self._parts = slice(0, hop), slice(hop, hop + length), slice(hop + length, None)
        self._mel_mean, self._mel_scale = np.asarray(sound.mel_mean), np.asarray(sound.mel_scale)
        self._rate, self._inverse = sound.sample_rate, inverse
        self._spread = spread(sound.sample_rate, sound.mel_bands)

    def buffers(self, state: dict) -> np.ndarray:
        """Of each row: histories of the post-net, the vocoder's source and sound, and the phase; float32 [batch, n]."""
        parts = [*state["postnet"], state["inverse"]["source"], state["inverse"]["sound"], state["phase"]]
        return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1).astype(np.float32)

    def generate(self, past, gate, conditions, buffers, uniforms, temperature: float) -> np.ndarray:
        frames, temperature = np.zeros_like(uniforms), np.float32(temperature)
        parts, voicings = self.predict(gate, conditions, buffers)
        vocoder = buffers[:, self._starts[-1] :]
        vocoder[~gate] = 0.0
        # From here on a frame is a few small arrays, of all rows at once.
        mels, uniforms, kept = parts[gate, 1], uniforms[gate], vocoder[gate]
        if self._draws:
            draws = uniforms[:, : mels[:1].size].reshape(mels.shape)
            mels += temperature * np.exp(parts[gate, 2]) * scipy.special.ndtri(np.clip(draws, NEAREST, 1 - NEAREST))
        source, sound, phase = (np.ascontiguousarray(kept[:, part]) for part in self._parts)
        fresh = self._source(voicings[gate], uniforms, phase, temperature)
        source = np.concatenate([source, fresh], axis=1)
        frames[gate] = self._filtered(source, self._gains(mels), sound)
        vocoder[gate] = np.concatenate([source[:, fresh.shape[1] :], sound, phase], axis=1)
        return frames

    def predict(self, gate, conditions, buffers) -> tuple[np.ndarray, np.ndarray]:
        """One frame as `MelSound.predict`; the histories of the post-net, in `buffers`, go on in place.

        Args:
            gate, conditions, buffers: as of `generate`.

        Returns:
            Before and after the post-net and the logarithm of the standard deviation, float32
            [batch, 3, reduction, mel_bands], and voicing and pitch [batch, 2]; zeros where the gate is shut.
        """
        parts = np.zeros((len(gate), 3, *self._shape), np.float32)
        voicings, told = np.zeros((len(gate), 2), np.float32), np.ascontiguousarray(conditions)
        self.deal(gate, lambda rows: self._predict_rows(rows, gate, told, buffers, parts, voicings))
        return parts, voicings

    def _gains(self, mels: np.ndarray) -> np.ndarray:
        """As `zoo.tacotron.vocoder.gains`, of standardised mels [n, steps, bands]."""
        powers = np.exp(_between(-_LOUDEST, mels, _LOUDEST) * self._mel_scale + self._mel_mean)
        # A product by `@` would take all cores.
        return np.sqrt(np.einsum("nsb,bk->nsk", powers, self._spread))

    def _source(self, voicings, uniforms, phase, temperature) -> np.ndarray:
        """Pulses and noise [n, samples of a frame]; `phase` [n, 1] goes on in place."""
        hz = _between(_LOWEST_HZ, _MIDDLE_HZ * np.exp(voicings[:, 1]), _HIGHEST_HZ)
        share = 1.0 / (1.0 + np.exp(-voicings[:, :1]))
        pulses = np.empty(uniforms.shape, np.float32)
        _pulse_rows(pulses, hz, phase, np.empty((3, pulses.shape[1])), self._rate)
        lower = uniforms * _LOWER_BITS
        noise = (lower - np.floor(lower) - _HALF) * _UNIFORM_SPREAD
        return np.sqrt(share) * pulses + temperature * np.sqrt(1.0 - share) * noise

    def _filtered(self, source, gains, sound) -> np.ndarray:
        """As `zoo.tacotron.vocoder.StreamingInverse`: a frame; `sound`, what windows so far add, goes on in place.

        Args:
            source: [n, hop + samples of a frame].
            gains: [n, steps, bins].
            sound: [n, fft_length].
        """
        hop, forward, said = self._inverse.hop, self._inverse.forward_samples, []
        starts = range(0, source.shape[1] - hop, hop)
        windows = np.stack([source[:, start : start + 2 * hop] for start in starts], axis=1) * self._inverse.window
        shaped = np.fft.irfft(np.fft.rfft(windows, self._fft_length) * gains, self._fft_length)
        for step in range(gains.shape[1]):
            sound[:, :forward] += shaped[:, step, :forward]
            said.append(_between(-_ONE, sound[:, :hop], _ONE))
            sound[:, :-hop], sound[:, -hop:] = sound[:, hop:].copy(), 0.0
        return np.concatenate(said, axis=1)

    def _predict_rows(self, *batch) -> None:
        room = room_for(self._network.hidden, self._longest)
        scratch = NetworkScratch(*(np.empty(shape, np.float32) for shape in self._shapes), room)
        _predict_rows(*batch, self._network, scratch)


def _between(least, x, most) -> np.ndarray:
    """As `np.clip`, in a fifth of the time that this takes for a small array."""
    return np.minimum(np.maximum(x, least), most)


@compiled
def _predict_rows(rows, gate, conditions, buffers, parts, voicings, network, scratch):
    """Fills `parts` and `voicings` where the gate is open, and moves the histories on."""
    biases, starts, widths, taps = network.biases, network.starts, network.widths, network.taps
    head, told, past, room = scratch.head, scratch.told, scratch.past, scratch.room
    steps, bands = parts.shape[2], parts.shape[3]
    outputs = told.shape[0] // (steps * bands)
    for row in rows:
        part, buffer = parts[row], buffers[row]
        if not gate[row]:
            _roll(buffer, starts, widths, steps)
            continue
        fill(head, network.hidden_bias)
        add_product(head, operand(conditions[row], room), network.hidden)
        rectify(head)
        made = operand(head, room)
        fill(told, network.mel_bias)
        add_product(told, made, network.mel)
        fill(voicings[row], network.voicing_bias)
        add_product(voicings[row], made, network.voicing)
        for step in range(steps):
            first = step * outputs * bands
            fill(part[0, step], span(told, first, bands))
            if outputs == 2:
                for b in range(bands):
                    part[2, step, b] = max(told[first + bands + b], _SHARPEST)
        x = part[0]
        for layer in range(len(biases)):
            width, channels = widths[layer], biases[layer].shape[0]
            seen, by = (taps - 1) * width, steps * width
            history = span(buffer, starts[layer], seen)
            fill(span(past, 0, seen), history)
            for step in range(steps):
                at = seen + step * width
                fill(span(past, at, width), x[step])
            x = scratch.outputs[layer % 2]
            for step in range(steps):
                y, at = span(x[step], 0, channels), step * width
                fill(y, biases[layer])
                add_product(y, operand(span(past, at, taps * width), room), network.kernels[layer])
                if layer < len(biases) - 1:
                    for c in range(channels):
                        y[c] = tanh(y[c])
            fill(history, span(past, by, seen))
        for step in range(steps):
            for b in range(bands):
                part[1, step, b] = part[0, step, b] + x[step, b]


@part
def _roll(buffer, starts, widths, steps):
    """Histories after a frame with a shut gate, of which every layer read zeros."""
    for layer in range(widths.shape[0]):
        until, by = starts[layer + 1], steps * widths[layer]
        for i in range(starts[layer], until):
            buffer[i] = buffer[i + by] if i + by < until else np.float32(0.0)


@compiled
def _pulse_rows(pulses, hz, phases, waves, sample_rate):
    """Fills `pulses` of each row, and moves its phase on; waves: float64 [3, samples], to write on."""
    for row in range(pulses.shape[0]):
        phases[row, 0] = _pulses(pulses[row], hz[row], phases[row, 0], waves, sample_rate)


@inlined
def _pulses(sound, hz, phase, waves, sample_rate):
    """As `zoo.pitch.pulses`, summed by Clenshaw's recurrence; fills `sound` and returns the phase."""
    samples = sound.shape[0]
    half = np.float32(sample_rate / 2)
    partials = int(math.ceil(half / _LOWEST_HZ)) - 1
    twice, one, two = waves[0], waves[1], waves[2]
    period, parts = pitch.PARTS_OF_A_HERTZ * sample_rate, int(np.rint(pitch.PARTS_OF_A_HERTZ * np.float64(hz)))
    hz, at = np.float32(parts / pitch.PARTS_OF_A_HERTZ), int(np.rint(period * np.float64(phase)))
    for t in range(samples):
        at = (at + parts) % period
        twice[t], one[t], two[t] = 2.0 * math.cos(2.0 * math.pi * at / period), 0.0, 0.0
    power = np.float32(0.0)
    for partial in range(partials, 0, -1):
        share = min(max((half - np.float32(partial) * hz) / hz, np.float32(0.0)), _ONE)
        if share > np.float32(0.0):
            power += share * share
            for t in range(samples):
                newer = np.float64(share) + twice[t] * one[t] - two[t]
                two[t] = one[t]
                one[t] = newer
    scale = np.sqrt(_TWO / power)
    for t in range(samples):
        sound[t] = scale * np.float32(0.5 * twice[t] * one[t] - two[t])
    return np.float32(at / period)
