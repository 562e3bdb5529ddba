"""The soak of a station ends well and has done what it says, for a moment of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pymodbus")
ROOT = Path(__file__).parents[2]


@pytest.mark.faults
def test_a_moment_of_the_soak_answers_every_trigger_once(tmp_path):
    words = [
        sys.executable,
        "-m",
        "tests.station.soak",
        "--minutes",
        "0.5",
        "--seed",
        "3",
        "--json",
        tmp_path / "soak.json",
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    figures = json.loads((tmp_path / "soak.json").read_text())
    assert figures["wrong"] == {}
    assert sum(figures["verdicts"].values()) >= figures["triggers"] > 50
    assert {"OK", "NG"} <= figures["verdicts"].keys()
    assert figures["faults"]
