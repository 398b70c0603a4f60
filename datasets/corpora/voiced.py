"""Map Task spoken again: the real words at their real times, by synthetic voices.

Needs the annotations only (12 MB); where the recordings are at hand, `maptask` has the sound itself.
"""

from datasets import corpora
from datasets import dialogue as dialogue_lib
from datasets.corpora import maptask, rendering


@corpora.register("maptask-voiced")
class MapTaskVoiced(rendering.RenderedCorpus):
    """The dialogues of `maptask`, 8000 Hz unless the options say otherwise; one voice for each of the 64 speakers."""

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        self._maptask = maptask.MapTask(options)

    def names(self, split: str | None = None) -> list[str]:
        return self._maptask.names(split)

    def script(self, name: str) -> dialogue_lib.Dialogue:
        return self._maptask.load(name, audio=False)

    def script_key(self) -> dict:
        return {"annotations_sha256": self._maptask.key()["annotations_sha256"]}
