"""Compares models with humans, and with rows that say what a score means, on held-out dialogues.

    python -m eval.compare                                   every run under runs/, on the simulated corpus
    python -m eval.compare --runs=runs/mine --corpus=maptask-voiced --data_dir=maptaskv2-1
    python -m eval.compare --wavs=prompts --corpus=...       answers of an agent made elsewhere: python -m eval.prompts
    python -m eval.compare --runs=runs/mine --closed_loop            and two copies of it that talk to each other
    python -m eval.compare --runs=runs/mine --noaudio                the timing alone, not how it sounds
    python -m eval.compare --scores=a/scores.json,b/scores.json                one table of comparisons that were made

Each model takes one role of a held-out dialogue: 30 s of both real channels as a prompt, then 60 s against the real
partner, which are scored. Prints tables of timing and of sound for each role, and writes scores.json, scores.csv, the
audio and report.html.
"""

import datetime
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from datasets import activity, files, turns
from datasets import flags as corpus_flags
from datasets.dialogue import ROLE_PAIRS
from datasets.errors import InputError, run_command
from eval import agents, closed_loop, comparison, protocol, report, score_files, table
from eval.audio import comparison as audio_comparison
from eval.audio import extras
from eval.audio.rows import AudioTable
from eval.chunks import CHUNK_SECONDS, PROMPT_SECONDS
from eval.comparison import Settings, Table, Words
from eval.recordings import Recordings

DEFAULT_SAMPLE_RATE = 8000
LEAD = (
    "Each row takes one side of a held-out dialogue. It is given 30 seconds of both real channels, then hears the real"
    " partner, 20 ms at a time, and decides for 60 seconds when to speak."
)
NO_RUNS = "no trained model under runs/: the reference rows alone. Train one with  python -m zoo.train --model=wavenet"
PEERS = (
    "dGSLM's events of both speakers, Full-Duplex-Bench's takeover rate and latency (with its sign), SyncLLM's"
    " correlations with the human of the same chunk: from the events above, for readers who know those numbers."
)


def compare(corpus, models: Sequence[agents.Agent], settings: Settings, minutes: float | None = None) -> dict[str, Any]:
    """Compares, prints the tables and writes the files of a comparison.

    Args:
        corpus: opened at the models' sample rate, or without sound.
        models: may be none.
        settings: see `Settings`.
        minutes: of the closed loop of each model; None leaves it out.

    Returns:
        The content of scores.json.
    """
    files.writable_folder(settings.out)
    if settings.detector == activity.ANNOTATIONS and not all(isinstance(model, Recordings) for model in models):
        raise InputError("--detector=annotations: detects nothing in the sound of a model; take silero or energy")
    is_played = settings.detector == activity.ANNOTATIONS or _has_sound(corpus, settings, models)
    tables = comparison.compare_sound(corpus, models, settings) if is_played else {}
    duets = closed_loop.compare_duets(corpus, models, settings, minutes) if minutes else None
    words = comparison.compare_words(corpus, settings)
    sounds = audio_comparison.compare_audio(corpus, tables, settings) if settings.audio else {}
    for role, part in tables.items():
        _say(f"{role}, {_under(part)}", part)
        if role in sounds:
            print(f"\nsound as {role}, {sounds[role].text()}")
    if duets:
        _say(_duet_title(duets), duets)
    if words:
        _say_words(words)
    scores = _scores(corpus, models, settings, tables, words, duets, sounds)
    files.write_json(settings.out / "scores.json", protocol.json_ready(scores))
    _write_csv(settings.out / "scores.csv", tables, words, duets, sounds)
    if tables:
        report.write_report(
            settings.out / "report.html",
            lead=LEAD,
            kicker=f"{corpus.name}, {settings.split}",
            rows_by_role={role: part.rows for role, part in tables.items()},
            under={role: _under(part) for role, part in tables.items()},
            sounds={role: (part.under(), part.rows) for role, part in sounds.items()},
            appendix=_appendix(tables, words, duets),
            provenance=_provenance(scores),
        )
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


def _say(title: str, part: Table) -> None:
    print(f"\n{title}\n\n{table.render([row.name for row in part.rows], [row.scores for row in part.rows])}")


def _say_words(words: Words) -> None:
    print("\nword timings, whole channels, no prompt\n")
    lines = _statistics(words)
    width = max(len(name) for name, _ in lines)
    print("\n".join(f"{name:<{width}}  {text}" for name, text in lines))
    for role, part in words.tables.items():
        _say(f"{role}, {_under(part)}", part)


def _statistics(words: Words) -> list[tuple[str, str]]:
    pair = next(pair for pair in ROLE_PAIRS if set(words.tables) & set(pair))
    return turns.statistics_text(words.statistics, pair)


def _under(part: Table) -> str:
    n_dialogues = len({chunk.dialogue for chunk in part.reference.chunks})
    prompt = f", each after {part.reference.prompt_seconds:g} s of prompt" if part.reference.prompt_seconds else ""
    models = [row.scores["n_chunks"] for row in part.rows if row.kind == "model"]
    answered = f", models on {models[0]} of them" if models else ""
    return (
        f"{n_dialogues} dialogues, {len(part.reference.chunks)} x {CHUNK_SECONDS:g} s{prompt}{answered}; speech by"
        f" {part.reference.detector}; draws of {part.reference.draw_chunks}, 95 % intervals by dialogue; rows whose TTR"
        f" differ by less than {part.shown_ttr:.2f} are ties"
    )


def _scores(
    corpus,
    models,
    settings: Settings,
    tables: Mapping[str, Table],
    words: Words | None,
    duets: Table | None,
    sounds: Mapping[str, AudioTable],
) -> dict[str, Any]:
    return {
        "protocol": protocol.VERSION,
        "corpus": corpus.key(),
        "split": settings.split,
        "detector": settings.detector,
        "detector_version": activity.detector_key(settings.detector),
        "seed": settings.seed,
        "draws": settings.draws,
        "prompt_seconds": PROMPT_SECONDS,
        "chunk_seconds": CHUNK_SECONDS,
        "chunks_per_dialogue": settings.chunks_per_dialogue,
        "models": {model.name: model.fingerprint for model in models},
        "roles": {role: _table_scores(part) for role, part in tables.items()},
        "closed_loop": duets and _table_scores(duets),
        "audio": {role: part.content() for role, part in sounds.items()},
        "words": words and {
            "statistics": words.statistics,
            "roles": {role: _table_scores(part) for role, part in words.tables.items()},
        },
        "software": score_files.software(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _table_scores(part: Table) -> dict[str, Any]:
    return {
        "reference": part.reference.describe(),
        "chunks": [[span.dialogue, span.start_seconds, span.seconds] for span in part.spans],
        "smallest_ttr_difference": part.shown_ttr,
        "rows": [
            {"name": row.name, "kind": row.kind, "scores": row.scores, "per_dialogue": list(row.per_dialogue)}
            for row in part.rows
        ],
    }


def _write_csv(
    path: pathlib.Path,
    tables: Mapping[str, Table],
    words: Words | None,
    duets: Table | None,
    sounds: Mapping[str, AudioTable],
) -> None:
    parts = [("open loop", tables), ("word timings", words.tables if words else {})]
    parts += [("closed loop", {protocol.BOTH: duets})] if duets else []
    parts += [("audio", sounds)]
    lines = [
        {"part": name, "role": role, "row": row.name, "kind": row.kind, **row.scores}
        for name, of_role in parts
        for role, part in of_role.items()
        for row in part.rows
    ]
    score_files.write_csv(path, lines)


def _duet_title(duets: Table) -> str:
    flagged = ", ".join(closed_loop.flagged(duets))
    warned = f"; {flagged}: nearer to a training dialogue than humans are, perhaps by replay" if flagged else ""
    return f"closed loop, two copies of each model, both speakers together; {_under(duets)}{warned}"


def _appendix(tables: Mapping[str, Table], words: Words | None, duets: Table | None) -> list[dict[str, Any]]:
    blocks = [_block("Two copies of each model", _duet_title(duets), duets, table.COLUMNS)] if duets else []
    for role, part in tables.items():
        blocks.append(_block(f"As other papers count, as {role}", PEERS, part, table.PEER_COLUMNS))
    if words:
        blocks.append(
            {
                "title": "Word timings",
                "under": "The annotated words of whole channels, no prompt, no detector.",
                "head": ["", "human"],
                "rows": [list(line) for line in _statistics(words)],
            }
        )
        for role, part in words.tables.items():
            blocks.append(_block(f"Word timings, as {role}", _under(part), part, table.COLUMNS))
    return blocks


def _block(title: str, under: str, part: Table, choices: Sequence[table.Column]) -> dict[str, Any]:
    columns = table.columns_of([row.scores for row in part.rows], choices)
    return {
        "title": title,
        "under": under,
        "head": ["", *(column.title for column in columns)],
        "rows": [[row.name, *(column.text(row.scores) for column in columns)] for row in part.rows],
    }


def _provenance(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    corpus = ", ".join(f"{name} {value}" for name, value in scores["corpus"].items())
    models = ", ".join(f"{name} ({digest[:12]})" for name, digest in scores["models"].items())
    return [
        ("protocol", f"version {scores['protocol']}"),
        ("corpus", f"{corpus}; {scores['split']}"),
        ("detector", scores["detector"]),
        ("seed", str(scores["seed"])),
        ("models", models or "none"),
        ("software", ", ".join(f"{name} {version}" for name, version in scores["software"].items())),
        ("made", f"{scores['created']} by python -m eval.compare"),
        ("numbers", "scores.json and scores.csv beside this page, with floors, chunk lists and rows by dialogue"),
    ]


def merge(paths: Sequence[str], out: pathlib.Path) -> dict[str, Any]:
    """Puts the tables of comparisons that were made before into one, prints and writes it."""
    merged = score_files.merge(paths)
    lines = []
    for role, part in merged["roles"].items():
        found = part["rows"]
        print(f"\n{role}; rows whose TTR differ by less than {part['smallest_ttr_difference']:.2f} are ties\n")
        print(table.render([row["name"] for row in found], [row["scores"] for row in found]))
        lines += [{"role": role, "row": row["name"], "kind": row["kind"], **row["scores"]} for row in found]
    files.write_json(out / "scores.json", merged)
    score_files.write_csv(out / "scores.csv", lines)
    return merged


def _define_flags() -> None:
    corpus_flags.define_corpus_flags()
    flags.DEFINE_list("runs", None, "Run folders or SavedModels; default: every run under runs/ that has a model.")
    flags.DEFINE_list("wavs", None, "Folders of answers made elsewhere; without --runs, no run is compared.")
    flags.DEFINE_list("scores", None, "scores.json of comparisons that were made: one table, and nothing is scored.")
    flags.DEFINE_boolean("closed_loop", False, "Let two copies of each model talk to each other too.")
    flags.DEFINE_float("minutes", closed_loop.DEFAULT_MINUTES, "Of the closed loop, of each model.")
    flags.DEFINE_string("split", "test", "Whose dialogues are answered: test or validation.")
    flags.DEFINE_string("out", None, "Folder to write into; default reports/<corpus>-<split>, or reports/merged.")
    flags.DEFINE_boolean("audio", None, "Score the sound too; default: where the extra `audio` is installed.")
    flags.DEFINE_integer("seed", 0, "Of the models, the reference rows and the draws.")
    flags.DEFINE_integer("chunks_per_dialogue", 1, "How many 60 s are answered of each dialogue.", lower_bound=1)
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
        print("the sound is not scored; --audio scores what needs no further package", *absent, sep="\n")
        return False
    return wanted is not False


def _models(paths: Sequence[str] | None, folders: Sequence[str] | None) -> list[agents.Agent | Recordings]:
    recorded = [Recordings(folder) for folder in folders or []]
    if paths or recorded:
        return [*agents.open_agents(paths or []), *recorded]
    ready, unready = agents.find_runs()
    for path in unready:
        print(f"{path}: no saved_model yet, left out", file=sys.stderr)
    if not ready:
        print(NO_RUNS)
    return agents.open_agents(ready)


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    if values.scores:
        out = pathlib.Path(values.out or pathlib.Path("reports") / "merged")
        merge(values.scores, out)
        print(f"\n{out / 'scores.json'}")
        return
    models = _models(values.runs, values.wavs)
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
    compare(corpus, models, settings, values.minutes if values.closed_loop else None)
    print(f"\n{out / 'report.html'}" if (out / "report.html").exists() else f"\n{out / 'scores.json'}")


if __name__ == "__main__":
    _define_flags()
    run_command(main)
