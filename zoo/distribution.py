"""Training on several devices or hosts, by `tf.distribute`.

Every process reads the same stream of batches, and each replica takes its rows of a batch: i, i + n, i + 2 n, ...
Sums are added over the replicas before anything is divided by them, and windows of sound are drawn by row, so that n
replicas take the step that one would take (but for layers that draw, such as a dropout, whose rows are drawn anew).
Reading costs little beside a step, and nothing has to agree on who reads what.

Several GPUs of one host are found by themselves. Hosts are named by TF_CONFIG, as TensorFlow describes it; the same
command is started on each of them, and the first one (the chief) writes the run folder.
"""

import json
import os
from collections.abc import Sequence

import tensorflow as tf

from datasets.errors import InputError


def strategy() -> tf.distribute.Strategy:
    """One device, the GPUs of this host, or the hosts of TF_CONFIG; to be asked before TensorFlow computes anything."""
    if "TF_CONFIG" in os.environ:
        try:
            json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"TF_CONFIG={os.environ['TF_CONFIG']}: not a cluster of workers ({error!r})") from error
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(over: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run folder."""
    resolver = over.cluster_resolver
    return resolver is None or resolver.task_type in (None, "chief") or resolver.task_id == 0


def check_rows(over: tf.distribute.Strategy, batch_size: int) -> None:
    """Raises `InputError` unless every replica gets as many rows of a batch."""
    n = over.num_replicas_in_sync
    if batch_size % n:
        raise InputError(f"--set=batch_size={batch_size}: must be a multiple of the {n} replicas that share a batch")


def shares(batch_size: int) -> int:
    """In how many equal parts the cores of a CPU take a batch, side by side; 1 where there is a GPU."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    cores = min(len(os.sched_getaffinity(0)), batch_size)
    return max(n for n in range(1, cores + 1) if batch_size % n == 0)


def share_of(over: tf.distribute.Strategy, batch: dict[str, tf.Tensor]) -> dict:
    """The rows of a batch that each replica of this process takes, with their numbers as "row"; text is left out."""
    # XLA takes no text, and a step needs none.
    batch = {key: value for key, value in batch.items() if value.dtype != tf.string}
    batch["row"] = tf.range(tf.shape(batch["mask"])[0])
    if over.num_replicas_in_sync == 1:
        return batch

    def rows(context):
        taken = slice(context.replica_id_in_sync_group, None, context.num_replicas_in_sync)
        return {key: value[taken] for key, value in batch.items()}

    return over.experimental_distribute_values_from_function(rows)


def total(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each value added up over all replicas; called within `strategy.run`."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(values)
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(values)))


def from_chief(over: tf.distribute.Strategy, value: int) -> int:
    """The chief's value, in every process."""
    if over.num_replicas_in_sync == 1:
        return value

    def told() -> tf.Tensor:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return total([tf.where(first, value, 0)])[0]

    return int(over.experimental_local_results(tf.function(lambda: over.run(told), autograph=False)())[0])


def wait_for_all(over: tf.distribute.Strategy) -> None:
    """Returns when every process has come here: the chief writes while the others wait."""
    from_chief(over, 0)
