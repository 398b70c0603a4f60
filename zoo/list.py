"""Shows the models of the zoo, their presets and what they cost.

python -m zoo.list
"""

from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import run_command


def main(argv: list[str]) -> None:
    del argv
    from zoo import registry

    print(f"{'model':12} {'preset':10} {'rate':>6} {'parameters':>11} {'hears, s':>9} {'sound sees, ms':>15}")
    for name, entry in registry.models().items():
        for preset, sizes in entry.presets.items():
            model = entry.model_class(sizes)
            hears = model.dialogue.receptive_steps / FRAMES_PER_SECOND
            sees = 1000.0 * model.sound.receptive_samples / sizes.sample_rate
            print(f"{name:12} {preset:10} {sizes.sample_rate:6} {model.count_params():11,} {hears:9.1f} {sees:15.0f}")


if __name__ == "__main__":
    run_command(main)
