"""A run on rectangles, from training to its figures."""

import json

import pytest

import edgekd
from edgekd.cli.main import main
from edgekd.recipe import read_recipe


@pytest.fixture
def run(forty_good, tiny_teacher, tmp_path):
    folder = tmp_path / "run"
    edgekd.train("hkt", data=forty_good, run=folder, iterations=2, batch=2, size="64x96", teacher=tiny_teacher)
    return folder


@pytest.mark.slow
def test_a_run_keeps_its_shape_from_the_recipe_to_the_figures(run, forty_good, category, tmp_path, capsys):
    assert read_recipe(run).size == (64, 96)
    artifact = edgekd.export(run).artifact
    manifest = json.loads(artifact.with_suffix(".json").read_text())
    assert manifest["inputs"]["frames"]["shape"] == [1, 64, 96, 3]
    with edgekd.Inspector(artifact, backend="onnxruntime") as inspector:
        assert inspector(next(forty_good.iterdir())).anomaly_map.shape == (64, 64)  # Of the frame, without its bands.
    bench = edgekd.bench(artifact, backend="onnxruntime", duration=0.2)
    assert "generated, of 64 x 96 pixels (height x width)" in bench.measured["images"]
    page = tmp_path / "report.html"
    words = ["evaluate", "--engine", run, "--data", category, "--backend", "onnxruntime", "--html", page, "--json", "-"]
    assert main([str(word) for word in words]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["size"] == [64, 96]
    assert 0 <= figures["pixel_auroc"] <= 1
    assert "64 x 96 pixels (height x width)" in page.read_text()
    drift = edgekd.drift(run, data=category)
    assert drift.size == (64, 96)
    assert all(row["noise"] < 0.01 for row in drift.rows[1:])
