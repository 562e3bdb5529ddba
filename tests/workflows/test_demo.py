"""The demo, shortened: two iterations, on a few of its cells."""

import json

import pytest

import edgekd.data.elpv as elpv
import edgekd.workflows.demo as workflow
from edgekd.artifact import read_json
from edgekd.recipe import read_recipe


@pytest.fixture
def few_cells(monkeypatch, tiny_teacher):
    """The demo lays out 30 images, at 64 pixels, and its teacher is a tiny one."""
    for name, count in (("TRAIN_GOOD", 20), ("TEST_GOOD", 5), ("TEST_DEFECTIVE", 5)):
        monkeypatch.setattr(elpv, name, count)
    real = workflow.train

    def with_a_tiny_teacher(*args, **kwargs):
        return real(*args, **kwargs | ({} if kwargs.get("resume") else {"teacher": tiny_teacher, "size": 64}))

    monkeypatch.setattr(workflow, "train", with_a_tiny_teacher)


def test_the_demo_goes_the_whole_way_and_is_not_trained_twice(few_cells, short_looks, tmp_path, caplog):
    caplog.set_level("INFO", logger="edgekd")
    out = tmp_path / "the demo"
    steps = []
    result = workflow.demo(out, iterations=2, duration=0.1, progress=lambda step, *_, **__: steps.append(step))
    assert "training hkt" in steps
    assert read_recipe(result.run).iterations == 2
    assert (result.evaluation.test_good, result.evaluation.test_defective) == (5, 5)
    assert 0 <= result.evaluation.image_auroc <= 1
    assert result.bench.latency_ms["end_to_end"]["median"] > 0
    assert result.report.read_text(encoding="utf-8").count("data:image/jpeg") >= 2
    written = {"evaluation": read_json(out / "evaluation.json"), "bench": read_json(out / "bench.json")}
    content = json.loads(json.dumps(result.to_dict()))
    assert {name: content[name] for name in written} == written
    assert f"edgekd export '{out}/run'" in caplog.text

    caplog.clear()
    trained = (result.run / "student.safetensors").stat().st_mtime_ns
    again = workflow.demo(out, iterations=2, duration=0.1)
    assert (again.run / "student.safetensors").stat().st_mtime_ns == trained
    assert f"is trained already; delete {out} to start anew" in caplog.text
    assert again.evaluation.image_auroc == result.evaluation.image_auroc
