"""Who makes the shards: this process, several processes, or an Apache Beam pipeline.

All of them call the same function on the same list, and its results lie in the folder; none of them is better than
another but by speed.
"""

import logging
import multiprocessing
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

from datasets.errors import InputError

Item = Any
_DIRECT = "DirectRunner"


def run(make: Callable[[Item], Any], items: Sequence[Item], workers: int = 1) -> Iterator[Any]:
    """Calls `make` on every item, in `workers` processes; yields the results as they are done."""
    workers = min(workers, len(items))
    if workers < 2:
        yield from map(make, items)
        return
    # Spawned, for a forked child would inherit the threads and locks of whatever else runs here.
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(workers, context, _remember, (make,)) as pool:
        try:
            for done in futures.as_completed([pool.submit(_make, item) for item in items]):
                yield done.result()
        except futures.process.BrokenProcessPool as error:
            raise InputError(
                "a worker process died, perhaps for want of memory: take fewer --workers; what is done is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def run_beam(
    make: Callable[[Item], Any], items: Sequence[Item], runner: str, options: str = "", workers: int = 1
) -> None:
    """Calls `make` on every item in a Beam pipeline.

    Args:
        make: what it returns is dropped; what it writes has to lie where every worker and this process see it.
        items: pickled, as `make` is.
        runner: "DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner", ...
        options: of the pipeline, as its command line has them: "--direct_num_workers=2".
        workers: processes of the DirectRunner, where the options do not say.

    Raises:
        InputError: Beam is not installed or does not know the runner, or what `make` raised.
    """
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError(
            f"--runner={runner} needs Apache Beam: pip install -c constraints.txt -e '.[beam]'; without --runner the"
            " shards are made by --workers processes"
        ) from error
    arguments = [f"--runner={runner}", *shlex.split(options)]
    if runner == _DIRECT and workers > 1 and "--direct_num_workers" not in options:
        arguments += [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]
    try:
        with apache_beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
            listed = pipeline | "shards" >> apache_beam.Create(list(items))
            _ = listed | apache_beam.Reshuffle() | "make" >> apache_beam.Map(make)
    except (ValueError, RuntimeError) as error:
        # Of what a worker raised, Beam gives the whole traceback as text.
        *_, last = filter(None, map(str.strip, str(error).splitlines()))
        raise InputError(f"--runner={runner}: {last}") from error


_made_by: Callable[[Item], Any]


def _remember(make: Callable[[Item], Any]) -> None:
    global _made_by
    _made_by = make


def _make(item: Item) -> Any:
    return _made_by(item)
