"""Held-out likelihoods of a trained run, on any split of any corpus.

    python -m zoo.score --run=runs/voiced --corpus=maptask-voiced --data_dir=maptaskv2-1 --split=test

Bits per sample of speech and bits per second of the gate, beside a histogram that knows the loudness and the counted
hazard table of the train split; of a recogniser the character error rate, by jiwer. With `--int8` the bits of sound
once more, as the compiled engines predict it, and what rounding the weights costs; with `--graph16` the same of the
graph with weights of 16 bits.
"""

import os

from absl import flags

from datasets import flags as corpus_flags
from datasets.dialogue import SPLITS
from datasets.errors import InputError, run_command

FLAGS = flags.FLAGS
corpus_flags.define_corpus_flags()
flags.DEFINE_string("run", None, "Run folder, such as runs/demo.")
flags.DEFINE_enum("split", "test", SPLITS, "Which split is scored.")
flags.DEFINE_integer("seed", 0, "Of the windows of sound.")
flags.DEFINE_bool("int8", False, "Also what weights of 8 bits cost, in bits per sample of speech.")
flags.DEFINE_bool("graph16", False, "Also what weights of 16 bits cost in the graph; of SampleRNN.")
flags.DEFINE_integer("beam", 0, "Texts that a recogniser's beam keeps; 0 takes the best path.", lower_bound=0)


def main(argv: list[str]) -> None:
    del argv
    if not FLAGS.run:
        raise InputError("--run: which run folder? python -m zoo.train makes one under runs/")
    from datasets import prepare
    from zoo import generation, held_out
    from zoo.runs import open_run

    run = open_run(FLAGS.run)
    if FLAGS.beam and run.model.mode != "transcript":
        raise InputError(f"--beam={FLAGS.beam}: is of recognisers, and {FLAGS.run} is none")
    rounded = {name: bits for name, bits in (("int8", 8), ("graph16", 16)) if FLAGS[name].value}
    for name in rounded:
        if not getattr(run.model, "sound", None):
            raise InputError(f"--{name}: is of models that predict samples, and {FLAGS.run} does not")
    if FLAGS.graph16:
        generation.check_engine(run.model, "graph16", "--graph16")
    corpus = corpus_flags.corpus_from_flags(run.sample_rate)
    train, scored = (prepare.prepare(corpus, split, workers=os.cpu_count()) for split in ("train", FLAGS.split))
    if run.model.mode in ("text", "transcript"):
        from zoo import utterances

        train, scored = (utterances.spoken(corpus, each, run.model.config.crop_seconds) for each in (train, scored))
    if run.model.mode == "transcript":
        said = _errors(run.model, scored)
    else:
        said = held_out.describe(held_out.evaluate(run.model, train, scored, FLAGS.seed, crops=None).figures)
    print(f"{run.name} on {FLAGS.split} of {FLAGS.corpus}: {said}")
    for bits in rounded.values():
        from zoo import rounding

        print(rounding.describe(rounding.bits_per_sample(run.model, scored, FLAGS.seed, bits=bits)))


def _errors(model, scored) -> str:
    import tqdm

    from zoo.deep_speech import evaluation

    rate = evaluation.character_error_rate(model, scored, FLAGS.beam, lambda it: tqdm.tqdm(it, "hearing", unit="batch"))
    by = f"a beam of {FLAGS.beam}" if FLAGS.beam else "the best path"
    return f"character error rate {rate:.2%} by {by}, {len(scored.utterances)} breath groups"


if __name__ == "__main__":
    run_command(main)
