"""Sound tiers alone at sizes that a peer has too, and the peer, speaking.

The peer is r9y9's `wavenet-vocoder` 0.1.1 on PyTorch, by its own incremental inference with weight normalisation taken
out, on one thread, on mu-law levels. Its frames are those of ours: 20 ms at 16 kHz. Beside these, the decoder of a
Tacotron 2 at the paper's sizes, that reads a text of 100 letters, and that of `tacotron2-model` 0.2.4; their "samples"
are steps of 12.5 ms. Peers are taken where they are installed:

    pip install torch==2.13.0 wavenet-vocoder==0.1.1
    pip install tacotron2-model==0.2.4 --no-deps
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import tqdm

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import cost, speed
from zoo.generation import BITS
from zoo.parts import of_model
from zoo.runs import new_model

SAMPLE_RATE = 16000
PEER = "r9y9"
BIG, SMALL, SAMPLERNN = "30/64/256", "20/32/64", "3-tier/256"
# Cycles of ten layers, residual and skip channels.
_WAVENETS = {BIG: (3, 64, 256), SMALL: (2, 32, 64)}
# It needs about a minute for a second of the large one.
_PEER_SHARE = 0.1
_CYCLE = tuple(2**i for i in range(10))
DECODER, DECODER_PEER = "decoder 1024", "tacotron2-model"
PEERS = (PEER, DECODER_PEER)
_LETTERS, _NEVER = 100, -40.0


def streams(engines: list[str], channels: int = 1) -> list[speed.Stream]:
    """Ours of each size by each engine, and a peer's where it is installed; of several channels on one core too."""
    found = [_ours(*case, engine, channels) for case in _configs() for engine in engines]
    if channels > 1:
        # What a second core adds.
        found += [_ours(*case, engine, channels, 1) for case in _configs() for engine in engines if engine in BITS]
    else:
        found += [_peer(size, *sizes) for size, sizes in _WAVENETS.items()]
        found += [*_decoders(engines), _decoder_peer()]
    return [stream for stream in found if stream]


def parts(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a sample by part (`zoo.parts`), of ours of each size by each compiled engine."""
    found = {}
    for name, size, model_class, config in tqdm.tqdm(list(_configs()), "parts", unit="model"):
        model = new_model(model_class, config, "unconditional")
        found |= {f"{name} {size} {engine}": of_model(model, engine, rounds) for engine in BITS}
    return found


def of_the_peer(stream: speed.Stream, others: list[speed.Stream]) -> dict[str, float]:
    """How many times as fast as its peer, the median over rounds; SampleRNN, that has none, beside the small WaveNet.

    Rounds are compared one by one: what slows one down slows the next one too.
    """
    size = SMALL if stream.preset == SAMPLERNN else stream.preset
    for other in others:
        if other.model in PEERS and other.preset == size and stream.model not in PEERS:
            wall, by_cpu = (stream.samples_per_second(cpu) / other.samples_per_second(cpu) for cpu in (False, True))
            return {"times_the_peer": float(np.median(wall)), "times_the_peer_by_cpu": float(np.median(by_cpu))}
    return {}


def _configs():
    from zoo import registry
    from zoo.samplernn.model import SampleRNNConfig
    from zoo.wavenet.model import WaveNetConfig

    for size, (cycles, channels, skips) in _WAVENETS.items():
        sizes = dict(channels=channels, skip_channels=skips, head_channels=skips, dilations=cycles * _CYCLE)
        yield "wavenet", size, registry.find("wavenet")[0], WaveNetConfig(sample_rate=SAMPLE_RATE, **sizes)
    tiers = SampleRNNConfig(sample_rate=SAMPLE_RATE, channels=256, frame_samples=(16, 4))
    perceptron = dict(embedding_channels=256, sample_channels=256, sample_layers=2)
    yield "samplernn", SAMPLERNN, registry.find("samplernn")[0], dataclasses.replace(tiers, **perceptron)


def _ours(name, size, model_class, config, engine, channels, cores=None) -> speed.Stream | None:
    return speed.of_model(name, size, engine, new_model(model_class, config, "unconditional"), channels, cores=cores)


def _peer(size: str, cycles: int, channels: int, skips: int) -> speed.Stream | None:
    try:
        import torch
        from wavenet_vocoder import WaveNet
    except ImportError:
        return None
    torch.set_num_threads(1)
    model = WaveNet(
        out_channels=256,
        layers=10 * cycles,
        stacks=cycles,
        residual_channels=channels,
        gate_channels=2 * channels,
        skip_out_channels=skips,
        kernel_size=2,
        dropout=0.0,
        cin_channels=-1,
        gin_channels=-1,
        scalar_input=False,
    ).eval()
    model.make_generation_fast_()
    hop = SAMPLE_RATE // FRAMES_PER_SECOND

    def speak(frames: int) -> np.ndarray:
        began = time.perf_counter()
        with torch.no_grad():
            model.incremental_forward(None, T=frames * hop, softmax=True, quantize=True)
        return np.full(frames, (time.perf_counter() - began) / frames)

    return speed.Stream(PEER, size, "torch", speak, SAMPLE_RATE, hop, share=_PEER_SHARE)


def _decoders(engines: list[str]) -> list[speed.Stream]:
    """Ours, of the paper's sizes, by each engine that it has."""
    from zoo.tacotron import text_parts
    from zoo.tacotron.text_config import PRESETS

    config = PRESETS["paper"]
    decoder = text_parts.decoder(config, config.encoder_channels)
    decoder.build()
    decoder.stop.bias.assign([_NEVER])
    made = []
    for engine, speak in (("fused", _by_loop), ("graph", _by_graph)):
        read = speak(decoder, _memory(config.encoder_channels)) if engine in engines else None
        if read:
            made.append(_steps("tacotron", engine, read, cost.multiply_adds(decoder)))
    return made


def _by_loop(decoder, memory: np.ndarray) -> Callable[[int], None] | None:
    """Reads so many steps; None where there is no numba."""
    from zoo import generation

    def make():
        from zoo.tacotron.reading_kernel import FusedReadingDecoder

        return FusedReadingDecoder(decoder)

    kernel = generation.attempt(make, "fused")
    return kernel and (lambda steps: kernel.spell(memory, [_LETTERS], [steps], 0))


def _by_graph(decoder, memory: np.ndarray) -> Callable[[int], None]:
    import tensorflow as tf

    exists = tf.ones([1, _LETTERS])

    @tf.function(autograph=False)
    def read(steps):
        def body(t, before, state):
            mel, _, _, state = decoder(before[:, None], memory, exists, state)
            return t + 1, mel[:, -1], state

        begin = [0, tf.zeros([1, decoder.mel_bands]), decoder.initial_state(1, _LETTERS, 0)]
        return tf.while_loop(lambda t, *_: t < steps, body, begin)[1]

    return lambda steps: read(tf.constant(steps)).numpy()


def _decoder_peer() -> speed.Stream | None:
    try:
        import torch
        from tacotron2_model.model import Decoder
    except ImportError:
        return None
    torch.set_num_threads(1)
    decoder = Decoder(
        n_mel_channels=80,
        n_frames_per_step=1,
        encoder_embedding_dim=512,
        attention_dim=128,
        attention_rnn_dim=1024,
        attention_location_n_filters=32,
        attention_location_kernel_size=31,
        decoder_rnn_dim=1024,
        prenet_dim=256,
        max_decoder_steps=1000,
        gate_threshold=1.0,
        p_attention_dropout=0.1,
        p_decoder_dropout=0.1,
    ).eval()
    memory = torch.from_numpy(_memory(512))

    def read(steps: int) -> None:
        with torch.no_grad():
            frame = decoder.get_go_frame(memory)
            decoder.initialize_decoder_states(memory, mask=None)
            for _ in range(steps):
                frame, _, _ = decoder.decode(decoder.prenet(frame))

    multiply_adds = sum(weight.numel() for weight in decoder.parameters() if weight.dim() > 1)
    return _steps(DECODER_PEER, "torch", read, multiply_adds)


def _memory(channels: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, _LETTERS, channels)).astype(np.float32)


def _steps(model: str, engine: str, read: Callable[[int], None], multiply_adds: int) -> speed.Stream:
    from zoo.tacotron.spectra import FRAMES_PER_SECOND as STEPS_PER_SECOND

    def speak(steps: int) -> np.ndarray:
        began = time.perf_counter()
        read(steps)
        return np.full(steps, (time.perf_counter() - began) / steps)

    return speed.Stream(model, DECODER, engine, speak, STEPS_PER_SECOND, 1, multiply_adds=multiply_adds)
