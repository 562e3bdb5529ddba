import json
import socket

import pyarrow.parquet

from ..run_command import main


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
        assert main([name, "--help"]) == 0
        assert f"edgekd {name}" in capsys.readouterr().out


def test_an_untrained_system_exports_and_says_that_it_is_untrained(tmp_path, capsys):
    output = tmp_path / "hkt.onnx"
    assert main(["export", "hkt", "--size", "64", "--output", str(output)]) == 0
    assert "untrained" in capsys.readouterr().err
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["trained"] is False
    assert manifest["threshold"] is None


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
    log = pyarrow.parquet.read_table(out / "verdicts.parquet").to_pydict()
    images = sorted(path.name for path in good_folder.iterdir())
    assert log["name"] == images
    assert set(log["verdict"]) == {"NG"}
    assert len(list((out / "heat_maps").iterdir())) == len(images)
    assert main([*map(str, words), "--fail-on-ng"]) == 1
