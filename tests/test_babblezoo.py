"""Our package `datasets` shares its name with a popular one: beside that one, ours is used or one line says why not."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import babblezoo

ROOT = pathlib.Path(babblezoo.__file__).parent
SAY_WHOSE = "import datasets; print(datasets.__file__)"


@pytest.fixture
def run(tmp_path):
    """Runs Python in an empty folder, with a foreign `datasets` and then ours on the path."""
    foreign = tmp_path / "foreign"
    (foreign / "datasets").mkdir(parents=True)
    (foreign / "datasets" / "__init__.py").write_text("")
    (tmp_path / "empty").mkdir()

    def run(*arguments, path=(foreign, ROOT)):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True)

    run.foreign = foreign
    return run


@pytest.mark.parametrize("package", ["zoo", "eval"])
def test_our_packages_find_our_datasets(run, package):
    done = run("-c", f"import {package}; {SAY_WHOSE}; import datasets.dialogue")
    assert done.stdout.strip() == str(ROOT / "datasets" / "__init__.py"), done.stderr


def test_the_foreign_package_is_left_to_others(run):
    assert run("-c", f"import babblezoo; {SAY_WHOSE}").stdout.strip().startswith(str(run.foreign))


def test_a_foreign_package_that_was_imported_before_is_named_in_one_line(run):
    done = run("-c", "import datasets\ntry:\n import zoo\nexcept ImportError as error: print(error)")
    assert str(run.foreign) in done.stdout and "python -m babblezoo" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_command_ends_in_that_line(run):
    (run.foreign / "sitecustomize.py").write_text("import datasets\n")
    done = run("-m", "zoo.train")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert str(run.foreign) in done.stderr


def test_any_command_runs_through_babblezoo(run):
    done = run("-m", "babblezoo", "datasets.prepare", "--corpus=none")
    assert done.returncode == 2 and "--corpus=none: no such corpus" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m babblezoo MODULE"),
        (["datasets.none"], "datasets.none: not a command of babblezoo"),
        (["json.tool"], "json.tool: not a command of babblezoo"),
    ],
)
def test_other_modules_are_not_commands(run, arguments, message):
    done = run("-m", "babblezoo", *arguments)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1


def test_commands_of_ours_are_found_when_python_starts(run, tmp_path):
    """What the .pth file of an installation does, with `sitecustomize` in its place."""
    line = (ROOT / "babblezoo.pth").read_text().splitlines()[-1]
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(line + "\n")
    path = (tmp_path / "start", run.foreign, ROOT)
    for options in (["-m", "datasets.prepare"], ["-W", "ignore", "-um", "datasets.prepare"]):
        assert "--corpus=none: no such corpus" in run(*options, "--corpus=none", path=path).stderr
    (run.foreign / "datasets" / "theirs.py").write_text("print('theirs')\n")
    assert run("-m", "datasets.theirs", path=path).stdout == "theirs\n"
    assert run("-c", SAY_WHOSE, "-m", "datasets.prepare", path=path).stdout.startswith(str(run.foreign))


def test_ours_comes_after_what_stands_before_the_foreign_one(run, tmp_path):
    done = run("-c", "import sys, zoo; print(sys.path)", path=(tmp_path / "first", run.foreign, ROOT))
    path = [entry for entry in eval(done.stdout) if entry]
    assert path.index(str(tmp_path / "first")) < path.index(str(ROOT)) < path.index(str(run.foreign))


def test_an_installation_has_the_line(tmp_path):
    """A wheel carries the packages, their data and the .pth file."""
    pip = [sys.executable, "-m", "pip"]
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "runs", "reports", "tests"))
    built = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    done = subprocess.run(built, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("babblezoo-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("babblezoo.py", "datasets/tables/maptask.json", "zoo/__init__.py", "eval/__init__.py"):
        assert wanted in names
    assert any(name.endswith("site-packages/babblezoo.pth") for name in names)
    assert not any(name.startswith(("tests/", "datasets/babblezoo")) for name in names)
