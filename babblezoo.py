"""Which `datasets`: ours lies beside this file and shares its name with a popular package.

    python -m babblezoo datasets.prepare --corpus=simulated

runs any command of ours, from any folder, with our packages first.
"""

import importlib.util
import pathlib
import runpy
import sys

ROOT = pathlib.Path(__file__).resolve().parent
_OURS = ROOT / "datasets" / "__init__.py"


def use_our_datasets() -> None:
    """Makes `import datasets` mean ours; if another was imported already, says which one in one line and gives up.

    Raises:
        ImportError: another `datasets` was imported before; `SystemExit` with the same line where a command starts.
    """
    imported = sys.modules.get("datasets")
    if imported is not None:
        if not _is_ours(getattr(imported, "__file__", None)):
            _give_up(getattr(imported, "__file__", None) or str(list(imported.__path__)))
        return
    found = importlib.util.find_spec("datasets")
    if found is None or not _is_ours(found.origin):
        sys.path.insert(_place_before(found), str(ROOT))


def use_ours_to_run(module: str) -> None:
    """The same where `module`, such as "datasets.prepare", is one of ours; babblezoo.pth calls it as Python starts."""
    if module.startswith("datasets.") and (ROOT / f"{module.replace('.', '/')}.py").exists():
        use_our_datasets()


def _is_ours(path: str | None) -> bool:
    return path is not None and pathlib.Path(path).resolve() == _OURS


def _place_before(found) -> int:
    """Where on the path to put ours: before the other one, but after Python's own modules if that will do."""
    folders = [pathlib.Path(folder).parent for folder in (found.submodule_search_locations or [])] if found else []
    places = [i for i, entry in enumerate(sys.path) if pathlib.Path(entry).resolve() in folders]
    return min(places, default=0)


def _give_up(path: str) -> None:
    message = (
        f"error: the package datasets at {path} is in the way of babblezoo's own at {_OURS.parent}; run from {ROOT}, "
        "or as python -m babblezoo MODULE (BUILD.md, Troubleshooting)"
    )
    # While Python looks a command up, its first argument is still the option itself.
    raise SystemExit(message) if sys.argv[:1] == ["-m"] else ImportError(message)


def _main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m babblezoo MODULE [--flag=value ...], such as zoo.train or datasets.prepare")
    module = sys.argv[1]
    use_our_datasets()
    if module.partition(".")[0] not in ("zoo", "eval", "datasets") or importlib.util.find_spec(module) is None:
        sys.exit(f"error: {module}: not a command of babblezoo; they are modules of zoo, eval and datasets")
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
