"""Training steps of the sound tiers alone, at sizes that a peer has too.

WaveNet: 20 layers in two cycles, 32 residual and 64 skip channels, 4 x 16,000 samples, unconditional, mu-law. The peer
is r9y9's `wavenet-vocoder` 0.1.1 on PyTorch, as it comes, with the same layers, input and cross entropy.

SampleRNN: two recurrent tiers of 256 over frames of 16 and 4 samples, 64 x 1024 samples of truncated back-propagation.

Either step is forward, backward and Adam on random levels. The peer is taken where it is installed:

    pip install torch==2.13.0 wavenet-vocoder==0.1.1
"""

import time
from collections.abc import Callable

import numpy as np

from datasets.errors import InputError

SAMPLE_RATE = 16000
WAVENET = "wavenet 20/32/64"
SAMPLERNN = "samplernn 256"
PEER = "r9y9 wavenet-vocoder 20/32/64"
_WAVENET_BATCH = (4, 16000)
_SAMPLERNN_BATCH = (64, 1024)
_DILATIONS = 2 * tuple(2**i for i in range(10))


def steps() -> dict[str, tuple[Callable[[], float], float]]:
    """By name: a function that takes a step and returns its loss, and the seconds of audio that one eats."""
    found = {
        WAVENET: (_wavenet(), np.prod(_WAVENET_BATCH) / SAMPLE_RATE),
        SAMPLERNN: (_samplernn(), np.prod(_SAMPLERNN_BATCH) / SAMPLE_RATE),
    }
    peer = _peer()
    return found | ({PEER: (peer, np.prod(_WAVENET_BATCH) / SAMPLE_RATE)} if peer else {})


def rate(taken: dict[str, tuple[Callable[[], float], float]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of audio a second, and a second of the CPU (all its threads), [rounds, 2] of each, in turn.

    The first step of each is not counted.
    """
    found = {name: [] for name in taken}
    for round_ in range(rounds + 1):
        for name, (step, seconds) in taken.items():
            started = time.perf_counter(), time.process_time()
            loss = step()
            if not np.isfinite(loss):
                raise InputError(f"{name}: a step's loss is {loss}")
            if round_:
                took = time.perf_counter() - started[0], time.process_time() - started[1]
                found[name].append([seconds / each for each in took])
    return {name: np.array(rates) for name, rates in found.items()}


def _wavenet() -> Callable[[], float]:
    from zoo.coding import Levels
    from zoo.wavenet.sound import DilatedSound

    sound = DilatedSound(SAMPLE_RATE // 50, Levels("mu-law"), 0, 32, 64, 64, _DILATIONS)
    return _step(sound, *_WAVENET_BATCH)


def _samplernn() -> Callable[[], float]:
    from zoo.coding import Levels
    from zoo.samplernn.sound import SampleTiers

    # 64 frames of 16 samples: a hop that divides the 1024 samples.
    sound = SampleTiers(1024, Levels("mu-law"), 0, (16, 4), 256, 1, "gru", True, 256, 256, 2, 1024, 0)
    return _step(sound, *_SAMPLERNN_BATCH)


def _step(sound, batch: int, samples: int) -> Callable[[], float]:
    import keras
    import tensorflow as tf

    from zoo import apart, distribution

    def nats(audio, *told):
        return tf.reduce_sum(sound.nats(audio, *told)) / (batch * samples)

    sound.build()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(sound.trainable_variables)
    frames = samples // sound.hop
    rng = np.random.default_rng(0)
    audio = tf.constant(0.1 * rng.standard_normal((batch, samples + sound.hop)), tf.float32)
    told = tf.ones([batch, frames]), tf.zeros([batch, frames, 0])

    @tf.function(jit_compile=True, autograph=False)
    def differentiate(audio, *told):
        with tf.GradientTape() as tape:
            if sound.rows_apart:
                loss = apart.total(nats, [audio], told, sound.trainable_variables)
            else:
                loss = nats(audio, *told)
        return [loss, *tape.gradient(loss, [each.value for each in sound.trainable_variables])]

    shares = distribution.shares(batch)

    @tf.function(autograph=False)
    def step():
        # As `zoo.descent` does.
        found = [differentiate(*(each[i::shares] for each in (audio, *told))) for i in range(shares)]
        loss, *gradients = (tf.add_n(each) for each in zip(*found, strict=True))
        optimizer.apply_gradients(zip(gradients, sound.trainable_variables, strict=True))
        return loss

    return lambda: float(step())


def _peer() -> Callable[[], float] | None:
    try:
        import torch
        from wavenet_vocoder import WaveNet
    except ImportError:
        return None
    model = WaveNet(
        out_channels=256,
        layers=20,
        stacks=2,
        residual_channels=32,
        gate_channels=64,
        skip_out_channels=64,
        kernel_size=2,
        dropout=0.0,
        cin_channels=-1,
        gin_channels=-1,
        scalar_input=False,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch, samples = _WAVENET_BATCH
    levels = torch.randint(0, 256, (batch, samples), generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(levels, 256).transpose(1, 2).float()

    def step() -> float:
        optimizer.zero_grad()
        predicted = model(one_hot, softmax=False)
        loss = torch.nn.functional.cross_entropy(predicted[:, :, :-1], levels[:, 1:])
        loss.backward()
        optimizer.step()
        return float(loss)

    return step
