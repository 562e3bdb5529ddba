"""An inspection station: the package without extras, in an environment of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_station_inspects_with_neither_torch_nor_onnx(exported, good_folder, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True)
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    packages = {package["name"] for package in json.loads(listed.stdout)}
    assert packages.isdisjoint({"torch", "onnx", "scikit-learn"})
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", tmp_path / "out", "--json", "-"]
    command = [tmp_path / "venv" / "bin" / "edgekd", *map(str, words)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    verdicts = json.loads(answer.stdout)["verdicts"]
    assert verdicts["ERROR"] == 0
    assert sum(verdicts.values()) == len(list(good_folder.iterdir()))
    assert (tmp_path / "out" / "verdicts.sqlite").exists()
    lacking = subprocess.run(
        [command[0], "train", "hkt", "--data", good_folder, "--run", tmp_path / "run"], capture_output=True, text=True
    )
    assert lacking.returncode == 3
    assert "pip install 'edgekd[train]'" in lacking.stderr
