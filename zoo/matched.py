"""Sound tiers alone at sizes that a peer has too, and the peer, speaking.

The peer is r9y9's `wavenet-vocoder` 0.1.1 on PyTorch, by its own incremental inference with weight normalisation taken
out, on one thread, on mu-law levels. Its frames are those of ours: 20 ms at 16 kHz. It is taken where it is installed:

    pip install torch==2.13.0 wavenet-vocoder==0.1.1
"""

import dataclasses
import time

import numpy as np

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import speed
from zoo.runs import new_model

SAMPLE_RATE = 16000
PEER = "r9y9"
BIG, SMALL, SAMPLERNN = "30/64/256", "20/32/64", "3-tier/256"
# Cycles of ten layers, residual and skip channels.
_WAVENETS = {BIG: (3, 64, 256), SMALL: (2, 32, 64)}
# It needs about a minute for a second of the large one.
_PEER_SHARE = 0.1
_CYCLE = tuple(2**i for i in range(10))


def streams(engines: list[str], channels: int = 1) -> list[speed.Stream]:
    """Ours of each size by each engine, and the peer's where it is installed."""
    found = [_ours(*case, engine, channels) for case in _configs() for engine in engines]
    found += [_peer(size, *sizes) for size, sizes in _WAVENETS.items()] if channels == 1 else []
    return [stream for stream in found if stream]


def of_the_peer(stream: speed.Stream, others: list[speed.Stream]) -> dict[str, float]:
    """How many times as fast as the peer, the median over rounds; SampleRNN, that has none, beside the small WaveNet.

    Rounds are compared one by one: what slows one down slows the next one too.
    """
    size = SMALL if stream.preset == SAMPLERNN else stream.preset
    for other in others:
        if (other.model, other.preset) == (PEER, size) and stream.model != PEER:
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


def _ours(name, size, model_class, config, engine, channels) -> speed.Stream | None:
    return speed.of_model(name, size, engine, new_model(model_class, config, "unconditional"), channels)


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
