"""Real dialogues spoken again: the real words at their real times, by synthetic voices.

Needs the annotations only; where the recordings are at hand, the corpus itself has the sound.
"""

from datasets import corpora
from datasets import dialogue as dialogue_lib
from datasets.corpora import maptask, rendering, switchboard


class VoicedCorpus(rendering.RenderedCorpus):
    """The dialogues of another corpus, 8000 Hz unless the options say otherwise; one voice for each speaker.

    Attributes:
        source: the corpus, which has `annotated(name)`, the dialogue as its annotations alone have it, and
            `annotations_key()`, everything that shapes that.
    """

    source: type[corpora.Corpus]

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        self._source = self.source(options)

    def names(self, split: str | None = None) -> list[str]:
        return self._source.names(split)

    def script(self, name: str) -> dialogue_lib.Dialogue:
        return self._source.annotated(name)

    def script_key(self) -> dict:
        return self._source.annotations_key()


@corpora.register("maptask-voiced")
class MapTaskVoiced(VoicedCorpus):
    """The 128 dialogues of `maptask`, with a voice for each of the 64 speakers."""

    source = maptask.MapTask
    takes = VoicedCorpus.takes | source.takes

    def key(self) -> dict:
        return super().key() | ({} if self.options.fold is None else {"fold": self.options.fold})


@corpora.register("switchboard-voiced")
class SwitchboardVoiced(VoicedCorpus):
    """The calls of `switchboard`, with a voice for each caller, or for each side of each call without a call table."""

    source = switchboard.Switchboard
    roles = source.roles
