"""Models by name. A new model is a folder whose module puts `@register` on its class.

model_class, config = find("wavenet", preset="tiny", overrides={"layers": "20"})
model = model_class(config)
"""

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from datasets.errors import InputError

_MODULES = (
    "deep_speech.model", "hazard.model", "samplernn.model", "tacotron.model", "tacotron.speech", "wavenet.model",
)  # fmt: skip
# By mode: what speaks in a dialogue, alone or not, what reads a text, and what writes one.
_MODELS: dict[str, dict[str, "Entry"]] = {"dialogue": {}, "text": {}, "transcript": {}}
_LACKS = {"text": "reads no text", "transcript": "writes no transcript"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A model class and its presets, each a frozen dataclass of sizes."""

    model_class: type
    presets: Mapping[str, Any]


def register(name: str, presets: Mapping[str, Any], mode: str = "dialogue") -> Callable[[type], type]:
    def decorate(cls: type) -> type:
        import keras  # Here, as a command answers a bad flag before this is loaded.

        _MODELS[mode][name] = Entry(cls, presets)
        cls.config_class = type(next(iter(presets.values())))
        return keras.saving.register_keras_serializable("babblezoo", f"{name}-{mode}")(cls)

    return decorate


def models(mode: str = "dialogue") -> dict[str, Entry]:
    for module in _MODULES:
        importlib.import_module(f"zoo.{module}")
    return dict(sorted(_MODELS.get(mode, _MODELS["dialogue"]).items()))


def names() -> list[str]:
    """Of all models, whatever they do."""
    return sorted({name for mode in _MODELS for name in models(mode)})


def mode_of(name: str) -> str:
    """The mode of a model where none is asked for: dialogue, if it can, else what it can do."""
    _choose(name, dict.fromkeys(names()), "--model", "model")
    return next(mode for mode in _MODELS if name in models(mode))


def find(
    name: str, preset: str = "tiny", overrides: Mapping[str, Any] | None = None, mode: str | None = None
) -> tuple[type, Any]:
    """The class of a model and the configuration of a preset, with `overrides` (numbers may be text) put in.

    `mode`: None is that of `mode_of`.
    """
    mode = mode or mode_of(name)
    if name not in models(mode):
        lacks = _LACKS.get(mode, "does not speak")
        raise InputError(f"--mode={mode}: {name} {lacks}; the choices of --model are {', '.join(models(mode))}")
    entry = models(mode)[name]
    config = _choose(preset, entry.presets, "--preset", f"preset of {name}")
    return entry.model_class, override(config, overrides or {})


def override(config: Any, overrides: Mapping[str, Any]) -> Any:
    """A copy of a dataclass with some fields changed; text is read as the field's own type."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changes = {}
    for key, value in overrides.items():
        current = _choose(key, fields, "--set", "size")
        changes[key] = _read(key, value, current) if isinstance(value, str) else _like(value, current)
    return dataclasses.replace(config, **changes)


def _read(key: str, text: str, current: Any) -> Any:
    kind = type(current)
    try:
        if kind is tuple:
            return tuple(type(current[0])(part) for part in text.split("+"))
        if kind is bool:
            return bool(int(text))
        return kind(text)
    except ValueError as error:
        raise InputError(f"--set {key}={text}: must be of type {kind.__name__}, such as {current}") from error


def _like(value: Any, current: Any) -> Any:
    return tuple(value) if isinstance(current, tuple) else value


def _choose(name: str, choices: Mapping[str, Any], flag: str, what: str) -> Any:
    if name in choices:
        return choices[name]
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise InputError(f"{flag}={name}: no such {what}{hint}; the choices are {', '.join(choices)}")
