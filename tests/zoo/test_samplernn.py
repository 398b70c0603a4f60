from tests.zoo import harness


class TestSampleRNN(harness.TrainedContract):
    name = "samplernn"
    sizes = dict(
        frame_samples=(20, 4),
        channels=6,
        embedding_channels=4,
        sample_channels=8,
        condition_channels=6,
        context_channels=6,
        acoustic_channels=6,
        lead_frames=1,
    )
