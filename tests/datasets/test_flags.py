import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def _command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--corpus=maptsk"], "--corpus=maptsk: no such corpus"),
        (["--corpus=maptask", "--data_dir=/nowhere/at/all"], "--data_dir=/nowhere/at/all is not a folder"),
        (["--corpus=maptask-voiced", "--data_dir=datasets"], "lacks Data/timed-units"),
        (["simulated"], "simulated: an argument that no flag takes"),
    ],
)
def test_bad_flags_are_one_line_and_a_status(flags, message):
    done = _command("datasets.prepare", *flags)
    assert done.returncode in (1, 2) and message in done.stderr and "Traceback" not in done.stderr


def test_prepare_from_the_command_line(tmp_path):
    pytest.importorskip("espeakng_loader")
    flags = ["--hours=0.1", "--split=train", "--sample_rate=8000", f"--out={tmp_path}/out", "--workers=1"]
    done = _command("datasets.prepare", *flags, BABBLEZOO_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "train:" in done.stdout and "8000 Hz" in done.stdout
    index = json.loads((tmp_path / "out" / "train" / "index.json").read_text())
    assert index["sample_rate"] == 8000 and index["shards"]
