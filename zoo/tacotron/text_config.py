"""Sizes of a Tacotron that reads a text, `--mode=text`."""

import dataclasses

from datasets.errors import InputError
from zoo.tacotron.spectra import FRAMES_PER_SECOND

FAMILIES = ("tacotron1", "tacotron2")


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """Sizes and training recipe of a Tacotron that reads a text.

    Attributes:
        family: "tacotron2": convolutions and LSTM, attention by content and location, convolved post-net, mel frames to
            sound; "tacotron1": CBHGs, attention by content, linear spectra to sound.
        sample_rate: Hz, a multiple of 400.
        mel_bands: of the frames that the decoder makes.
        reduction: frames of 12.5 ms in a step, the papers' r.
        encoder_channels: of the embedding, and of the encoder.
        encoder_layers, encoder_kernel: of its convolutions ("tacotron2").
        bank, highways: of the CBHG that reads ("tacotron1").
        key_channels: in which query and text are compared.
        location_filters, location_taps: of the attention to where it was before ("tacotron2").
        prenet_channels: of the prenets, one a layer.
        dropout: share of the prenets' units that are left out, always.
        attention_channels, decoder_channels, decoder_layers: of the LSTMs.
        zoneout: share of the units of these that stay as they were, always.
        postnet_channels: of the post-net.
        postnet_layers, postnet_kernel: of its convolutions ("tacotron2").
        postnet_bank: of its CBHG ("tacotron1").
        guided: whether training pulls the attention towards the diagonal (Tachibana et al. 2018); the papers do not.
        voices, voice_channels: number of voices that are told apart, and width of their table; no channels: one voice.
        style_tokens: how many there are; 0 leaves styles out.
        style_channels, style_heads: width of a token and of the attention to them, number of attentions.
        reference_encoder: whether a reference sets the prosody directly, without tokens.
        crop_seconds: the longest breath group that is read; longer ones are left out.
        batch_size, learning_rate, averaging, steps: of training, as of `zoo.agent.DialogueConfig`.
    """

    family: str = "tacotron2"
    sample_rate: int = 8000
    mel_bands: int = 80
    reduction: int = 4
    encoder_channels: int = 96
    encoder_layers: int = 3
    encoder_kernel: int = 5
    bank: int = 8
    highways: int = 4
    key_channels: int = 48
    location_filters: int = 8
    location_taps: int = 15
    prenet_channels: tuple[int, ...] = (64, 64)
    dropout: float = 0.5
    attention_channels: int = 128
    decoder_channels: int = 192
    decoder_layers: int = 1
    zoneout: float = 0.1
    postnet_channels: int = 96
    postnet_layers: int = 5
    postnet_kernel: int = 5
    postnet_bank: int = 8
    guided: bool = True
    voices: int = 64
    voice_channels: int = 16
    style_tokens: int = 0
    style_channels: int = 64
    style_heads: int = 4
    reference_encoder: bool = False
    crop_seconds: float = 5.0
    batch_size: int = 8
    learning_rate: float = 2e-3
    averaging: float = 0.98
    steps: int = 3000

    def __post_init__(self):
        if self.family not in FAMILIES:
            raise InputError(f"--set=family={self.family}: the choices are {', '.join(FAMILIES)}")
        if self.sample_rate % 400:
            raise InputError(f"--set=sample_rate={self.sample_rate}: must be a multiple of 400, for a frame is 12.5 ms")
        if self.reduction < 1:
            raise InputError(f"--set=reduction={self.reduction}: a step has at least one frame")
        if self.family == "tacotron2" and self.encoder_channels % 2:
            raise InputError(f"--set=encoder_channels={self.encoder_channels}: must be even, half for each direction")
        for name in ("dropout", "zoneout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"--set={name}={getattr(self, name)}: must be a share, at least 0 and less than 1")
        if self.style_tokens and self.reference_encoder:
            raise InputError("--set=reference_encoder=1: style tokens have one of their own; give one of the two")
        if self.style_tokens and self.style_channels % self.style_heads:
            raise InputError(f"--set=style_heads={self.style_heads}: must divide the {self.style_channels} channels")

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate // FRAMES_PER_SECOND


_PAPER = TextConfig(
    sample_rate=24000,
    reduction=1,
    encoder_channels=512,
    key_channels=128,
    location_filters=32,
    location_taps=31,
    prenet_channels=(256, 256),
    attention_channels=1024,
    decoder_channels=1024,
    decoder_layers=1,
    postnet_channels=512,
    guided=False,
    voice_channels=0,
    style_channels=256,
    crop_seconds=10.0,
    batch_size=64,
    learning_rate=1e-3,
    averaging=0.999,
    steps=100_000,
)
PRESETS = {
    "tiny": TextConfig(),
    "small": TextConfig(
        sample_rate=16000,
        reduction=2,
        encoder_channels=256,
        key_channels=128,
        location_filters=32,
        location_taps=31,
        prenet_channels=(128, 128),
        attention_channels=256,
        decoder_channels=384,
        postnet_channels=256,
        voice_channels=32,
        style_channels=256,
        batch_size=16,
        learning_rate=1e-3,
        averaging=0.99,
        steps=20_000,
    ),
    "paper": _PAPER,
    "paper-tacotron1": dataclasses.replace(
        _PAPER,
        family="tacotron1",
        reduction=2,
        encoder_channels=256,
        bank=16,
        key_channels=256,
        prenet_channels=(256, 128),
        attention_channels=256,
        decoder_channels=256,
        decoder_layers=2,
        postnet_channels=128,
        batch_size=32,
    ),
}
