"""Tacotron's sound as compiled loops: mel frames with their post-net, a source for them, and windows that overlap.

`MelSound.sample_frame` is the reference; the parity test holds this to it. The Fourier transforms between the last two
loops are numpy's: a few windows a frame.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from zoo import pitch
from zoo.compiling import compiled, inlined, part
from zoo.fused import CompiledSound, clear, exp, fill, rectify, sigmoid, span, tanh
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


class SourceScratch(NamedTuple):
    """What the source is made on.

    Attributes:
        power: [mel_bands].
        source: [hop + samples of a frame].
        waves: float64 [3, samples of a frame].
    """

    power: np.ndarray
    source: np.ndarray
    waves: np.ndarray


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
        # After the histories of the post-net: the vocoder's source and sound, and the phase.
        self._vocoder = self._starts[-1] + np.cumsum([0, inverse.hop, inverse.fft_length])
        levels = np.asarray(sound.mel_mean), np.asarray(sound.mel_scale)
        self._levels = (*levels, spread(sound.sample_rate, sound.mel_bands), inverse.window, sound.sample_rate)
        self._forward = inverse.forward_samples

    def buffers(self, state: dict) -> np.ndarray:
        """Of each row: histories of the post-net, the vocoder's source and sound, and the phase; float32 [batch, n]."""
        parts = [*state["postnet"], state["inverse"]["source"], state["inverse"]["sound"], state["phase"]]
        return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1).astype(np.float32)

    def generate(self, past, gate, conditions, buffers, uniforms, temperature: float) -> np.ndarray:
        frames = np.zeros_like(uniforms)
        batch = frames, gate, conditions, buffers, uniforms, np.float32(temperature)
        self.deal(gate, lambda rows: self._speak_rows(rows, *batch))
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
        voicings = np.zeros((len(gate), 2), np.float32)
        told = np.ascontiguousarray(conditions)
        self._predict(np.arange(len(gate)), gate, told, buffers, parts, voicings)
        return parts, voicings

    def _speak_rows(self, rows, frames, gate, conditions, buffers, uniforms, temperature) -> None:
        parts = np.zeros((len(gate), 3, *self._shape), np.float32)
        voicings = np.zeros((len(gate), 2), np.float32)
        self._predict(rows, gate, conditions, buffers, parts, voicings)
        spoken = rows[gate[rows]]
        mels = parts[spoken, 1]
        if self._draws:
            draws = uniforms[spoken, : mels[0].size].reshape(mels.shape) if len(spoken) else mels
            mels += temperature * np.exp(parts[spoken, 2]) * scipy.special.ndtri(np.clip(draws, NEAREST, 1 - NEAREST))
        gains = np.zeros((*mels.shape[:2], self._fft_length // 2 + 1), np.float32)
        windows = np.zeros((*mels.shape[:2], len(self._levels[3])), np.float32)
        at, samples = self._vocoder, uniforms.shape[1]
        vectors = (np.empty(n, np.float32) for n in (mels.shape[2], windows.shape[2] // 2 + samples))
        made = gains, windows, SourceScratch(*vectors, np.empty((3, samples)))
        _source_rows(spoken, mels, voicings, uniforms, temperature, buffers, at, *made, *self._levels)
        shaped = np.fft.irfft(np.fft.rfft(windows, self._fft_length) * gains, self._fft_length)
        _overlap_rows(rows, gate, shaped, buffers, at, frames, self._forward)

    def _predict(self, *batch) -> None:
        network, steps = self._network, self._shape[0]
        widest, channels = network.widths.max(), max(len(bias) for bias in network.biases)
        longest = max(len(network.hidden_bias), len(network.hidden), network.taps * widest)
        scratch = NetworkScratch(
            np.empty_like(network.hidden_bias),
            np.empty_like(network.mel_bias),
            np.empty((network.taps - 1 + steps) * widest, np.float32),
            np.empty((2, steps, channels), np.float32),
            room_for(network.hidden, longest),
        )
        _predict_rows(*batch, network, scratch)


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
def _source_rows(
    spoken, mels, voicings, uniforms, temperature, buffers, at, gains, windows, scratch,
    mel_mean, mel_scale, spread, window, sample_rate,
):  # fmt: skip
    """Fills gains and windows of the source, and moves source and phase on; at: where the vocoder's state lies."""
    hop, samples, power, source = window.shape[0] // 2, uniforms.shape[1], scratch.power, scratch.source
    for i in range(spoken.shape[0]):
        row = spoken[i]
        for step in range(mels.shape[1]):
            for b in range(power.shape[0]):
                mel = min(max(mels[i, step, b], -_LOUDEST), _LOUDEST)
                power[b] = exp(mel * mel_scale[b] + mel_mean[b])
            gain = gains[i, step]
            add_product(gain, power, spread)
            for k in range(gain.shape[0]):
                gain[k] = np.sqrt(gain[k])
        hz = min(max(_MIDDLE_HZ * exp(voicings[row, 1]), _LOWEST_HZ), _HIGHEST_HZ)
        share = sigmoid(voicings[row, 0])
        kept = span(buffers[row], at[0], hop)
        fill(span(source, 0, hop), kept)
        buffers[row, at[2]] = _pulses(span(source, hop, samples), scratch.waves, hz, buffers[row, at[2]], sample_rate)
        of_pulses, of_noise = np.sqrt(share), temperature * np.sqrt(_ONE - share)
        for t in range(samples):
            lower = uniforms[row, t] * _LOWER_BITS
            noise = (lower - np.floor(lower) - _HALF) * _UNIFORM_SPREAD
            source[hop + t] = of_pulses * source[hop + t] + of_noise * noise
        for step in range(mels.shape[1]):
            for t in range(2 * hop):
                windows[i, step, t] = window[t] * source[step * hop + t]
        fill(kept, span(source, samples, hop))


@inlined
def _pulses(sound, waves, hz, phase, sample_rate):
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


@compiled
def _overlap_rows(rows, gate, shaped, buffers, at, frames, forward):
    """Adds windows [spoken rows, steps, samples] to what those before left; where the gate is shut none is left."""
    i, steps = 0, shaped.shape[1]
    hop = frames.shape[1] // steps
    for row in rows:
        if not gate[row]:
            clear(span(buffers[row], at[0], buffers.shape[1] - at[0]))
            continue
        sound = span(buffers[row], at[1], at[2] - at[1])
        for step in range(steps):
            for t in range(forward):
                sound[t] += np.float32(shaped[i, step, t])
            for t in range(hop):
                frames[row, step * hop + t] = min(max(sound[t], -_ONE), _ONE)
            for t in range(sound.shape[0]):
                sound[t] = sound[t + hop] if t + hop < sound.shape[0] else np.float32(0.0)
        i += 1
