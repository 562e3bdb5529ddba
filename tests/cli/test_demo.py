"""edgekd demo, on a run that is trained already: the training of 240 iterations is `make demo`."""

import json
import shutil

import pytest

import edgekd.data.elpv as elpv
import edgekd.workflows.demo as workflow

from ..run_command import main


@pytest.fixture
def trained_demo(monkeypatch, trained_run, short_looks, tmp_path):
    """The folder of a demo that was interrupted after its training, with 20 images to test."""
    for name, count in (("TRAIN_GOOD", 10), ("TEST_GOOD", 10), ("TEST_DEFECTIVE", 10)):
        monkeypatch.setattr(elpv, name, count)
    real = workflow.bench
    monkeypatch.setattr(workflow, "bench", lambda *args, **kwargs: real(*args, **kwargs | {"duration": 0.1}))
    shutil.copytree(trained_run, tmp_path / "demo" / "run")
    return tmp_path / "demo"


def test_the_command_and_the_function_give_the_same_answer(trained_demo, tmp_path, capsys):
    file = tmp_path / "answer.json"
    assert main(["demo", "--out", trained_demo, "--json", file]) == 0
    printed = capsys.readouterr()
    answer = json.loads(file.read_text())
    assert f"edgekd evaluate --engine {trained_demo}/run" in printed.err
    result = json.loads(json.dumps(workflow.demo(trained_demo).to_dict()))
    assert list(answer) == list(result)
    assert answer["evaluation"]["image_auroc"] == result["evaluation"]["image_auroc"]
    for name in ("data", "run", "report"):
        assert answer[name] == result[name]
    assert answer["bench"]["engine"] == result["bench"]["engine"]

    lines = printed.out.splitlines()
    assert lines[0].rstrip() == "HKT on monocrystalline solar cells"
    assert any("image AUROC" in line and f"{result['evaluation']['image_auroc']:.3f}" in line for line in lines)
    assert lines[-1] == f"report with heat maps: {trained_demo / 'report.html'}"


def test_a_file_that_cannot_be_written_is_refused_before_hours_of_work(tmp_path, capsys):
    assert main(["demo", "--out", tmp_path / "demo", "--json", tmp_path]) == 2
    assert "it is a folder, give the name of a file" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
