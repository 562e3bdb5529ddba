import json
import socket

import polars as pl
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


def test_evaluate_reports_the_figures_and_a_page(exported, category, tmp_path, capsys):
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    words = ["evaluate", "--engine", exported.parent, "--data", category, "--html", page, "--json", figures]
    assert main([str(word) for word in words]) == 0
    content = json.loads(figures.read_text())
    assert 0 <= content["image_auroc"] <= 1
    assert 0 <= content["pixel_auroc"] <= 1
    assert sum(content["verdicts"][name] for name in ("OK", "NG", "ERROR")) == (
        content["test_good"] + content["test_defective"]
    )
    assert page.read_text().count("data:image/jpeg") >= 2


def test_evaluate_sets_its_figures_beside_the_papers_and_names_what_differs(exported, category, tmp_path, capsys):
    transistor = category.rename(tmp_path / "transistor")
    assert main(["evaluate", "--engine", str(exported), "--data", str(transistor)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "beside the paper, MVTec AD, transistor" in told
    assert "0.9050" in told
    for difference in ("iterations: 20; the paper's 50,000", "size: 64 pixels", "images: 96 x 96 pixels; MVTec AD's"):
        assert f"another set-up: {difference}" in told


def test_bench_writes_the_fields_of_its_contract(exported, tmp_path):
    figures = tmp_path / "bench.json"
    assert main(["bench", "--engine", str(exported), "--duration", "0.2", "--json", str(figures)]) == 0
    content = json.loads(figures.read_text())
    for stage in ("pre", "inference", "post", "end_to_end"):
        times = content["latency_ms"][stage]
        assert list(times) == ["min", "mean", "median", "p90", "p95", "p99"]
        assert times["min"] <= times["median"] <= times["p99"]
    assert 0 < content["peak_share"] < 1.5
    assert content["macs"] > 1e8
    assert content["throughput_fps"]["1"] > 0
    assert content["throughput_fps_engine"]["1"] > 0
    assert content["engine"]["resize"] == "area-2"
    assert content["measured"]["readers"] >= 2


def test_readers_are_as_many_as_asked_for(exported, good_folder, tmp_path, capsys):
    words = ["--engine", str(exported), "--backend", "onnxruntime"]
    said = []
    for readers in ("1", "3"):
        file = tmp_path / f"{readers}.json"
        more = ["--source", str(good_folder), "--threshold", "1", "--readers", readers, "--json", str(file)]
        assert main(["inspect", *words, *more]) == 0
        said.append(json.loads(file.read_text()))
    assert said[0] == said[1]
    assert len(said[0]["frames"]) == 24
    file = tmp_path / "bench.json"
    assert main(["bench", *words, "--duration", "0.1", "--readers", "3", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["measured"]["readers"] == 3
    assert "frames a second with resizing in 3 readers, " in capsys.readouterr().out
    for command in (["inspect", "--source", str(good_folder)], ["bench"]):
        assert main([*command, *words, "--readers", "0"]) == 2


def test_inspect_tells_a_service_manager_that_it_is_up_and_alive(exported, good_folder, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        image = next(good_folder.iterdir())
        assert main(["inspect", "--engine", str(exported), "--source", str(image), "--threshold", "0"]) == 0
        assert [heard.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_inspect_writes_a_log_row_for_each_frame_and_heat_maps_of_the_ng_ones(exported, good_folder, tmp_path):
    out = tmp_path / "out"
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", out, "--threshold", "0"]
    assert main([str(word) for word in words]) == 0
    log = pl.read_parquet(out / "verdicts.parquet").to_dict(as_series=False)
    images = sorted(path.name for path in good_folder.iterdir())
    assert log["name"] == images
    assert set(log["verdict"]) == {"NG"}
    assert len(list((out / "heat_maps").iterdir())) == len(images)
    assert main([*map(str, words), "--fail-on-ng"]) == 1
