"""The parts of a Tacotron that reads a text, by its configuration."""

from zoo.tacotron import text
from zoo.tacotron.attention import ZoneoutStack
from zoo.tacotron.postnet import CBHGPostNet, ConvolvedPostNet
from zoo.tacotron.reading import ReadingDecoder, TextAttention
from zoo.tacotron.spectra import Spectra
from zoo.tacotron.text_config import TextConfig
from zoo.tacotron.tiers import Prenet


def encoder(config: TextConfig):
    if config.family == "tacotron2":
        return text.TextEncoder(config.encoder_channels, config.encoder_layers, config.encoder_kernel, name="encoder")
    prenet = Prenet(config.prenet_channels, config.dropout, name="prenet")
    cbhg = text.BothWaysCBHG(config.prenet_channels[-1], config.bank, config.highways, name="cbhg")
    return text.CBHGTextEncoder(config.encoder_channels, prenet, cbhg, name="encoder")


def decoder(config: TextConfig, memory_channels: int) -> ReadingDecoder:
    attention = TextAttention(
        config.attention_channels,
        memory_channels,
        config.key_channels,
        config.location_filters if config.family == "tacotron2" else 0,
        config.location_taps,
        name="attention",
    )
    prenet = Prenet(config.prenet_channels, config.dropout, name="prenet")
    stack = ZoneoutStack(config.decoder_channels, config.decoder_layers, name="stack")
    return ReadingDecoder(config.mel_bands, config.reduction, prenet, attention, stack, config.zoneout, name="decoder")


def postnet(config: TextConfig, spectra: Spectra):
    if config.family == "tacotron2":
        return ConvolvedPostNet(
            config.mel_bands, config.postnet_channels, config.postnet_layers, config.postnet_kernel, name="postnet"
        )
    cbhg = text.BothWaysCBHG(config.postnet_channels, config.postnet_bank, config.highways, name="cbhg")
    return CBHGPostNet(config.mel_bands, spectra.bins, cbhg, name="postnet")
