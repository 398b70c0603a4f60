"""Whatever can answer a partner, behind one interface; the only door from `eval` into `zoo`.

An agent is given 30 s of both real channels and then hears the partner alone; it produces its own channel. TensorFlow
is not imported until a run is asked for its first answer that is not on disk yet.
"""

import abc
import dataclasses
import functools
import hashlib
import os
import pathlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from datasets.dialogue import role_index
from datasets.errors import InputError

Progress = Callable[[int], None]
DEFAULT_ENGINE = "fused"


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """An agent's own channel.

    Attributes:
        audio: float32 [samples] in [-1, 1], as long as the partner it heard.
        gate: bool [frames] at 50 Hz, the agent's decision to speak, or None where it has no such thing.
    """

    audio: np.ndarray
    gate: np.ndarray | None = None


class Agent(abc.ABC):
    """One side of a dialogue.

    Attributes:
        name: what tables call it.
        sample_rate: Hz of all audio that goes in and out.
        fingerprint: changes whenever its answers could; answers are cached by it.
        held_out: figures of the held-out part of what it was trained on, by name; empty where none are known.
    """

    name: str
    sample_rate: int
    fingerprint: str
    held_out: Mapping[str, float] = types.MappingProxyType({})

    @abc.abstractmethod
    def respond_batch(
        self,
        prompt_own: np.ndarray,
        prompt_partner: np.ndarray,
        partner: np.ndarray,
        role: str,
        seed: int,
        progress: Progress | None = None,
    ) -> list[Response]:
        """Answers several partners at once, each causally: a frame hears the partner up to the frame before.

        Args:
            prompt_own: float32 [batch, prompt_samples], the real own channel before the first answered sample.
            prompt_partner: float32 [batch, prompt_samples], the partner over the same time.
            partner: float32 [batch, samples], the partner from then on.
            role: "giver" or "follower", the role the agent takes.
            seed: of all that is drawn.
            progress: called with the number of 20 ms frames (of the whole batch at once) done since the last call.
        """

    def respond(self, prompt_own, prompt_partner, partner, role: str, seed: int) -> Response:
        """`respond_batch` for one dialogue: arrays without the batch dimension."""
        batch = [np.asarray(channel, np.float32)[None] for channel in (prompt_own, prompt_partner, partner)]
        return self.respond_batch(*batch, role=role, seed=seed)[0]

    def duet(self, seconds: float, seed: int, progress: Progress | None = None) -> tuple[Response, Response]:
        """Two copies of the agent talk to each other, from silence: channel 0 and channel 1."""
        raise InputError(f"--closed_loop: {self.name} cannot talk to itself; give its run folder, not a SavedModel")


class RunAgent(Agent):
    """A run folder, or a SavedModel with its configuration: what `zoo` says of it.

    Args:
        path: the folder.
        engine: of `zoo.generation.ALL_ENGINES`.
    """

    def __init__(self, path: str | os.PathLike, engine: str = DEFAULT_ENGINE):
        from zoo import runs

        self.path, self._engine = pathlib.Path(path), engine
        folder = runs.folder_of(self.path)
        self._config = folder.read_config()
        if not _answers(folder):
            raise InputError(f"--runs={self.path}: makes sound without a dialogue and answers nobody (its mode)")
        if not folder.weights.is_file():
            raise InputError(f"{self.path}: a run without a model; the training has not saved any weights yet")
        self.name, self.sample_rate = _name(self.path), int(self._config["sample_rate"])
        self.fingerprint = digest([folder.config, *folder.weights.parent.glob(f"{folder.weights.stem}*")])
        if engine != DEFAULT_ENGINE:
            self.fingerprint += f"-{engine}"
        self.held_out = folder.read_held_out()

    @functools.cached_property
    def _run(self):
        from zoo import runs

        return runs.open_run(self.path)

    def respond_batch(self, prompt_own, prompt_partner, partner, role, seed, progress=None) -> list[Response]:
        answer = self._run.respond_batch(
            prompt_own, prompt_partner, partner, [role] * len(partner), seed=seed, progress=progress,
            engine=self._engine,
        )  # fmt: skip
        return _responses(*answer)

    def duet(self, seconds, seed, progress=None) -> tuple[Response, Response]:
        from zoo import generation

        voice = self._config.get("voices", [0])[0]
        said = {"seed": seed, "progress": progress, "engine": self._engine}
        audio, gate = generation.duet(self._run.model, seconds, [voice, voice], **said)
        return tuple(_responses(audio, gate))


class SavedModelAgent(Agent):
    """A SavedModel without its configuration; it speaks by its graph, with its first voice."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.name = _name(self.path)
        self.fingerprint = digest(file for file in self.path.rglob("*") if file.is_file())
        self.sample_rate = int(self._model.sample_rate.numpy())

    @functools.cached_property
    def _model(self):
        import tensorflow as tf

        from zoo import export

        try:
            model = tf.saved_model.load(str(self.path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise InputError(f"{self.path}: this SavedModel cannot be loaded ({str(error).splitlines()[0]})") from error
        if not export.is_agent(model):
            raise InputError(f"{self.path}: a SavedModel of another project; ours have respond, step and sample_rate")
        return model

    def respond_batch(self, prompt_own, prompt_partner, partner, role, seed, progress=None) -> list[Response]:
        roles, voices = np.full(len(partner), role_index(role), np.int32), np.zeros(len(partner), np.int32)
        audio, gate = self._model.respond(prompt_own, prompt_partner, partner, roles, voices, np.int32(seed), 1.0)
        if progress:
            progress(gate.shape[1])
        return _responses(audio.numpy(), gate.numpy() > 0)


def find_runs(folder: str | os.PathLike = "runs") -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """The run folders under `folder`, sorted by name: those that hold a model, and those that do not (yet).

    Runs that make sound without a dialogue are left out.
    """
    from zoo import runs

    found = sorted(path.parent for path in pathlib.Path(folder).glob("*/config.json"))
    found = [path for path in found if _answers(runs.RunFolder(path))]
    ready = [path for path in found if runs.RunFolder(path).weights.is_file()]
    return ready, [path for path in found if path not in ready]


def open_agents(paths: Sequence[str | os.PathLike], engine: str = DEFAULT_ENGINE) -> list[Agent]:
    """An agent for each run folder or SavedModel, by distinct names; `InputError` unless all have one sample rate."""
    agents = [open_agent(path, engine) for path in paths]
    rates = {agent.name: agent.sample_rate for agent in agents}
    if len(set(rates.values())) > 1:
        said = ", ".join(f"{name} {rate} Hz" for name, rate in rates.items())
        raise InputError(f"--runs: models of different sample rates ({said}); compare those of one rate at a time")
    for index, agent in enumerate(agents):
        if agent.name in [earlier.name for earlier in agents[:index]]:
            agent.name = f"{agent.name}-{index + 1}"
    return agents


def open_agent(path: str | os.PathLike, engine: str = DEFAULT_ENGINE) -> Agent:
    """The agent of a run folder or of a SavedModel; `InputError` where it is neither."""
    from zoo import runs

    path = pathlib.Path(path)
    if not path.is_dir():
        raise InputError(f"--runs={path}: no such folder; give run folders (runs/<name>) or exported SavedModels")
    if runs.folder_of(path).config.is_file():
        return RunAgent(path, engine)
    if (path / "saved_model.pb").is_file():
        if engine not in (DEFAULT_ENGINE, "graph"):
            raise InputError(f"--engine={engine}: {path} has its graph alone, and no configuration to compile it by")
        return SavedModelAgent(path)
    raise InputError(f"--runs={path}: neither a run folder nor a SavedModel (no config.json, no saved_model.pb)")


def _name(path: pathlib.Path) -> str:
    whole = path.resolve()
    return whole.parent.name if whole.name == "saved_model" else whole.name


def digest(paths: Iterable[pathlib.Path]) -> str:
    """SHA-256 over the names and contents of files."""
    sha = hashlib.sha256()
    for path in sorted(paths):
        sha.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


def _answers(folder) -> bool:
    """Whether a run is one of a dialogue; what is no run at all is refused where it is opened."""
    try:
        return folder.read_config().get("mode", "dialogue") == "dialogue"
    except InputError:
        return True


def _responses(audio: np.ndarray, gate: np.ndarray) -> list[Response]:
    return [Response(np.asarray(a, np.float32), np.asarray(g, bool)) for a, g in zip(audio, gate, strict=True)]
