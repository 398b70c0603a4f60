"""A text read by the fused engine: the decoder's steps by its compiled loop, what stands around them by the graph."""

import numpy as np
import tensorflow as tf

from zoo.tacotron.reading_kernel import FusedReadingDecoder


class FusedReader:
    """Reads as `TextToSpeech.spell`, from a copy of the present weights.

    Args:
        model: `zoo.tacotron.speech.TextToSpeech`.
    """

    def __init__(self, model):
        self._begin, self._refine = model.graph("begin"), model.graph("refine")
        self._kernel = FusedReadingDecoder(model.decoder)
        self._kernel.compile()

    def __call__(self, letters, voices, manner, seed) -> tuple:
        memory, exists, most = self._begin(letters, voices, manner, seed)
        n_letters = exists.numpy().sum(axis=1).astype(np.int32)
        spelled = self._kernel.spell(memory.numpy(), n_letters, most.numpy(), int(seed))
        n_steps = tf.constant(spelled.n_steps)
        return self._refine(spelled.frames, n_steps), n_steps, tf.constant(spelled.alignment), spelled.stopped
