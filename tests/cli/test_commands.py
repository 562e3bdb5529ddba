import json

import pytest

from edgekd.artifact import read_json
from edgekd.cli.main import main
from edgekd.recipe import read_recipe


def test_models_json_holds_every_row_of_the_papers_tables(capsys):
    assert main(["models", "--json"]) == 0
    systems = {system["system"]: system for system in json.loads(capsys.readouterr().out)}
    assert systems["hkt"]["parts"]["student"]["parameters"] == 2_852_804
    assert systems["hkt_plus"]["parts"]["student"]["parameters"] == 8_529_830
    rows = [row for system in systems.values() for row in system["paper"]["rows"] if row["paper_gflops"]]
    assert sorted(row["gflops"] for row in rows) == [15.31, 20.31, 52.03, 52.07, 63.18, 63.21, 234.0]
    assert systems["hkt"]["parts"]["deployed"]["parameters"] == 5_398_340


def test_the_overview_and_each_help_page_print(capsys):
    assert main([]) == 0
    assert "inspect" in capsys.readouterr().out
    for name in (
        "models",
        "teachers",
        "distill",
        "train",
        "export",
        "build",
        "bench",
        "evaluate",
        "inspect",
        "doctor",
        "demo",
    ):
        with pytest.raises(SystemExit) as exit_:
            main([name, "--help"])
        assert exit_.value.code == 0
        assert f"edgekd {name}" in capsys.readouterr().out


@pytest.mark.parametrize("system", ["hkt", "hkt_plus"])
def test_training_without_a_teacher_says_which_it_took(system, good_folder, tmp_path, capsys):
    words = ["train", system, "--data", good_folder, "--run", tmp_path / "run", "--size", 64, "--iterations", 1]
    assert main([str(word) for word in words]) == 0
    assert "teacher efficientnet_lite1;" in capsys.readouterr().err
    assert read_json(tmp_path / "run" / "teachers.json")[0]["card"]["weights"].startswith("efficientnet-lite1")
    assert main(["export", str(tmp_path / "run")]) == 0


def test_teachers_lists_what_is_here_and_what_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path))
    assert main(["teachers", "list", "--json", "-"]) == 0
    here = {teacher["name"]: teacher["here"] for teacher in json.loads(capsys.readouterr().out)}
    assert here["pdn_small"]
    assert here["pdn_medium"]
    assert here["efficientnet_lite1"]
    assert not here["wide_resnet101_2"]
    assert main(["teachers", "list"]) == 0
    assert "resnet18" in capsys.readouterr().out


def test_an_untrained_system_exports_and_says_that_it_is_untrained(tmp_path, capsys):
    output = tmp_path / "hkt.onnx"
    assert main(["export", "hkt", "--size", "64", "--output", str(output)]) == 0
    assert "untrained" in capsys.readouterr().err
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["trained"] is False
    assert manifest["threshold"] is None


def test_a_run_extends_when_it_is_resumed_with_more_iterations(good_folder, tiny_teacher, tmp_path):
    run = tmp_path / "run"
    words = ["train", "hkt", "--data", good_folder, "--run", run, "--teacher", tiny_teacher, "--size", 64]
    assert main([str(word) for word in [*words, "--iterations", 2]]) == 0
    first = (run / "student.safetensors").read_bytes()
    assert main(["train", "hkt", "--run", str(run), "--resume", "--iterations", "4"]) == 0
    assert read_recipe(run).iterations == 4
    assert (run / "student.safetensors").read_bytes() != first
