"""The optional packages of the proxies: whether they are there, and one line that says how to get them.

None of them is imported before it is needed, and none imports TensorFlow.
"""

import importlib.util
import pathlib

INSTALL = "pip install -c constraints.txt -e '.[audio]'"
# What is imported by each proxy that needs a package of its own, and the package that brings it.
PACKAGES = {
    "speech": {"pyopen_wakeword": "pyopen-wakeword", "ai_edge_litert": "ai-edge-litert"},
    "phones": {"pocketsphinx": "pocketsphinx"},
    "dnsmos": {"speechmos": "speechmos"},
}


class MissingPackage(ImportError):
    """A proxy cannot be measured since its package is not installed."""


def missing(proxy: str) -> list[str]:
    """Packages that a proxy needs and that are not installed."""
    return [name for module, name in PACKAGES.get(proxy, {}).items() if importlib.util.find_spec(module) is None]


def explain() -> list[str]:
    """A line for each proxy that has to be left out."""
    return [
        f"{proxy}: left out, {' and '.join(missing(proxy))} not installed; {INSTALL}"
        for proxy in PACKAGES
        if missing(proxy)
    ]


def folder(proxy: str, module: str) -> pathlib.Path:
    """Where the files of a package lie, without importing it; `MissingPackage` where it is not installed."""
    if absent := missing(proxy):
        raise MissingPackage(f"{proxy}: needs {' and '.join(absent)}; {INSTALL}")
    return pathlib.Path(importlib.util.find_spec(module).origin).parent
