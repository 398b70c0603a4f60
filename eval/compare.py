"""Compares models with humans, and with rows that say what a score means, on held-out dialogues.

    python -m eval.compare                                   every run under runs/, on the simulated corpus
    python -m eval.compare --runs=runs/mine --corpus=maptask-voiced --data_dir=maptaskv2-1
    python -m eval.compare --wavs=prompts --corpus=...       answers of an agent made elsewhere: python -m eval.prompts
    python -m eval.compare --runs=runs/mine --closed_loop            and two copies of it that talk to each other
    python -m eval.compare --runs=runs/mine --noaudio                the timing alone, not how it sounds
    python -m eval.compare --scores=a/scores.json,b/scores.json                one table of comparisons that were made
    python -m eval.compare --format=md                        the tables as Markdown, for a paper or a model card

Each model takes one role of a held-out dialogue: 30 s of both real channels as a prompt, then 60 s against the real
partner, which are scored. Prints tables of timing and of sound for each role, and writes scores.json, scores.csv, the
audio and report.html.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from datasets import activity, files
from datasets import flags as corpus_flags
from datasets.errors import InputError, run_command
from eval import agents, closed_loop, comparison, merged, results
from eval import board as board_lib
from eval.audio import comparison as audio_comparison
from eval.audio import extras
from eval.comparison import Settings
from eval.recordings import Recordings

DEFAULT_SAMPLE_RATE = 8000
NO_RUNS = "no trained model under runs/: the reference rows alone. Train one with  python -m zoo.train --model=wavenet"


def compare(
    corpus,
    models: Sequence[agents.Agent],
    settings: Settings,
    minutes: float | None = None,
    *,
    style: str = results.TEXT,
    board: str | None = None,
) -> dict[str, Any]:
    """Compares, prints the tables and writes the files of a comparison.

    Args:
        corpus: opened at the models' sample rate, or without sound.
        models: may be none.
        settings: see `Settings`.
        minutes: of the closed loop of each model; None leaves it out.
        style: how the tables are printed, `results.TEXT` or `results.MARKDOWN`.
        board: folder to which the figures go for TensorBoard, or None.

    Returns:
        The content of scores.json.
    """
    files.writable_folder(settings.out)
    if board:
        board_lib.check(board)
    if settings.detector == activity.ANNOTATIONS and not all(isinstance(model, Recordings) for model in models):
        raise InputError("--detector=annotations: detects nothing in the sound of a model; take silero or energy")
    is_played = settings.detector == activity.ANNOTATIONS or _has_sound(corpus, settings, models)
    if board and not is_played:
        raise InputError(f"--tensorboard={board}: there is nothing to draw, for --corpus={corpus.name} has no sound")
    tables = comparison.compare_sound(corpus, models, settings) if is_played else {}
    duets = closed_loop.compare_duets(corpus, models, settings, minutes) if minutes else None
    words = comparison.compare_words(corpus, settings)
    sounds = audio_comparison.compare_audio(corpus, tables, settings) if settings.audio else {}
    found = results.Found(tables, words, duets, sounds)
    results.say_all(found, style)
    scores = results.write(corpus, models, settings, found)
    if board:
        board_lib.show(board, {role: part.rows for role, part in tables.items()}, sounds)
    return scores


def _has_sound(corpus, settings: Settings, models: Sequence[agents.Agent]) -> bool:
    names = corpus.names(settings.split)
    dialogue = corpus.load(names[0]) if names else None
    if dialogue is None or dialogue.audio is None:
        if models:
            raise InputError(f"--corpus={corpus.name}: it has no sound to play to a model; take maptask-voiced")
        return False
    for model in models:
        if not isinstance(model, Recordings) and model.sample_rate != dialogue.sample_rate:
            raise InputError(
                f"--corpus={corpus.name}: its sound has {dialogue.sample_rate} Hz and {model.name} speaks at"
                f" {model.sample_rate} Hz; open the corpus at the model's rate, or train at the corpus's"
            )
    return True


def _define_flags() -> None:
    corpus_flags.define_corpus_flags()
    flags.DEFINE_list("runs", None, "Run folders or SavedModels; default: every run under runs/ that has a model.")
    flags.DEFINE_list("wavs", None, "Folders of answers made elsewhere; without --runs, no run is compared.")
    flags.DEFINE_list("scores", None, "scores.json of comparisons that were made: one table, and nothing is scored.")
    flags.DEFINE_enum(
        "engine",
        agents.DEFAULT_ENGINE,
        ["fused", "int8", "graph", "graph16"],
        "By what runs speak; see python -m zoo.generate --helpshort.",
    )
    flags.DEFINE_boolean("closed_loop", False, "Let two copies of each model talk to each other too.")
    flags.DEFINE_float("minutes", closed_loop.DEFAULT_MINUTES, "Of the closed loop, of each model.")
    flags.DEFINE_string("split", "test", "Whose dialogues are answered: test or validation.")
    flags.DEFINE_string("out", None, "Folder to write into; default reports/<corpus>-<split>, or reports/merged.")
    flags.DEFINE_boolean("audio", None, "Score the sound too; default: where the extra `audio` is installed.")
    flags.DEFINE_integer("seed", 0, "Of the models, the reference rows and the draws.")
    flags.DEFINE_integer("chunks_per_dialogue", 1, "How many 60 s are answered of each dialogue.", lower_bound=1)
    flags.DEFINE_enum("format", results.TEXT, [results.TEXT, results.MARKDOWN], "How the tables are printed.")
    flags.DEFINE_string("tensorboard", None, "Folder to which the figures of the page go too, for TensorBoard.")
    flags.DEFINE_list("roles", None, "Roles the models take, each for itself; default: both of the corpus.")


def _roles(names: Sequence[str] | None, choices: Sequence[str]) -> tuple[str, ...]:
    if names is None:
        return tuple(reversed(choices))
    for name in names:
        if name not in choices:
            raise InputError(f"--roles={','.join(names)}: no role {name!r}; the choices are {', '.join(choices)}")
    return tuple(dict.fromkeys(names))


def _scores_sound(wanted: bool | None) -> bool:
    if wanted is None and (absent := extras.explain()):
        _remark("\n".join(["the sound is not scored; --audio scores what needs no further package", *absent]))
        return False
    return wanted is not False


def _models(paths: Sequence[str] | None, folders: Sequence[str] | None, engine: str) -> list[agents.Agent | Recordings]:
    recorded = [Recordings(folder) for folder in folders or []]
    if paths or recorded:
        return [*agents.open_agents(paths or [], engine), *recorded]
    ready, unready = agents.find_runs()
    for path in unready:
        print(f"{path}: no saved_model yet, left out", file=sys.stderr)
    if not ready:
        _remark(NO_RUNS)
    return agents.open_agents(ready, engine)


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    if values.scores:
        out = pathlib.Path(values.out or pathlib.Path("reports") / "merged")
        merged.merge(values.scores, out, style=values.format, board=values.tensorboard)
        _say_where(out)
        return
    models = _models(values.runs, values.wavs, values.engine)
    rate = next((model.sample_rate for model in models if not isinstance(model, Recordings)), DEFAULT_SAMPLE_RATE)
    corpus = corpus_flags.corpus_from_flags(rate)
    out = pathlib.Path(values.out or pathlib.Path("reports") / f"{corpus.name}-{values.split}")
    settings = Settings(
        out,
        values.split,
        values.detector or corpus.detector,
        values.seed,
        values.chunks_per_dialogue,
        _roles(values.roles, corpus.roles),
        audio=_scores_sound(values.audio),
    )
    minutes = values.minutes if values.closed_loop else None
    compare(corpus, models, settings, minutes, style=values.format, board=values.tensorboard)
    _say_where(out)


def _say_where(out: pathlib.Path) -> None:
    _remark(f"\n{out / ('report.html' if (out / 'report.html').exists() else 'scores.json')}")


def _remark(text: str) -> None:
    """Prints what is no table: on standard error where standard output goes into a document."""
    print(text, file=sys.stderr if flags.FLAGS.format == results.MARKDOWN else sys.stdout)


if __name__ == "__main__":
    _define_flags()
    run_command(main)
