"""Shows the models of the zoo, their presets, what they hear and what they cost.

    python -m zoo.list

Hears: how far back the dialogue tier hears both speakers. Sound sees: how far back a sample depends on samples.
Multiply-adds: of a second of speech, see `zoo.cost`. A recogniser hears what it is given and makes no sound.
"""

from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import run_command


def main(argv: list[str]) -> None:
    del argv
    from zoo import cost, registry

    print(
        f"{'model':12} {'preset':16} {'rate':>6} {'parameters':>11} {'hears, s':>9} {'sound sees, s':>14} "
        f"{'10^6 multiply-adds/s':>21}"
    )
    for name in registry.names():
        mode = registry.mode_of(name)
        for preset, sizes in registry.models(mode)[name].presets.items():
            model = registry.models(mode)[name].model_class(sizes)
            hears = sees = "-"
            if mode == "dialogue":
                hears = f"{model.dialogue.receptive_steps / FRAMES_PER_SECOND:.1f}"
                sees = f"{model.sound.receptive_samples / sizes.sample_rate:.3f}"
            print(
                f"{name:12} {preset:16} {sizes.sample_rate:6} {model.count_params():11,} {hears:>9} {sees:>14} "
                f"{cost.multiply_adds_per_second(model) / 1e6:21,.0f}"
            )


if __name__ == "__main__":
    run_command(main)
