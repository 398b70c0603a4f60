import dataclasses
import pathlib

import pytest

from datasets.errors import InputError
from zoo import registry


def test_every_model_has_its_tests():
    for name in registry.models():
        path = pathlib.Path(__file__).with_name(f"test_{name}.py")
        assert "Contract):" in path.read_text(encoding="utf-8"), name


def test_find_gives_the_class_and_the_preset():
    for name, entry in registry.models().items():
        assert "tiny" in entry.presets
        for preset, sizes in entry.presets.items():
            assert registry.find(name, preset) == (entry.model_class, sizes)


def test_overrides_are_read_as_what_they_replace():
    @dataclasses.dataclass(frozen=True)
    class Sizes:
        channels: int = 8
        rate: float = 0.1
        dilations: tuple[int, ...] = (1, 2)
        shared: bool = True
        kind: str = "plain"

    text = {"channels": "16", "rate": "2e-3", "dilations": "1+4+16", "shared": "0", "kind": "odd"}
    assert registry.override(Sizes(), text) == Sizes(16, 2e-3, (1, 4, 16), False, "odd")
    assert registry.override(Sizes(), {"dilations": [3, 4], "channels": 5}) == Sizes(5, dilations=(3, 4))
    assert registry.override(Sizes(), {}) == Sizes()
    with pytest.raises(InputError, match=r"--set=chanels: no such size \(did you mean channels\?\); the choices are"):
        registry.override(Sizes(), {"chanels": "3"})
    with pytest.raises(InputError, match="--set channels=many: must be of type int, such as 8"):
        registry.override(Sizes(), {"channels": "many"})
    with pytest.raises(InputError, match="must be of type tuple"):
        registry.override(Sizes(), {"dilations": "1,2"})


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(
        InputError, match=r"--model=wavnet: no such model \(did you mean wavenet\?\).*choices are .*wavenet"
    ):
        registry.find("wavnet")
    with pytest.raises(InputError, match="--preset=giant: no such preset of wavenet; the choices are .*tiny"):
        registry.find("wavenet", "giant")
