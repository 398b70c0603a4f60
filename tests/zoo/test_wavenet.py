from tests.zoo import harness


class TestWaveNet(harness.TrainedContract):
    name = "wavenet"
    sizes = dict(
        channels=6,
        skip_channels=8,
        head_channels=8,
        dilations=(1, 2, 4, 8, 16, 32),
        condition_channels=6,
        context_channels=6,
        context_dilations=(1, 2, 4),
        acoustic_channels=6,
        acoustic_dilations=(1, 2),
    )
