"""`edgekd bench`: its report and its summary, and what is refused before anything is measured."""

import json
import os
import shutil

import pytest

import edgekd.profiling.bench as bench_module
from edgekd.artifact import manifest_path, require_writable
from edgekd.cli.bench import print_result
from edgekd.errors import EdgekdError
from edgekd.workflows.bench import BenchResult, bench

from ..run_command import main


@pytest.fixture
def refused(capsys, monkeypatch, exported):
    """Runs a bench that must be refused in one line before it measures; gives the line."""

    def measured(*words: object) -> None:
        raise AssertionError("measured before it was refused")

    monkeypatch.setattr(bench_module, "measure_engine", measured)

    def run(*words: object, engine=exported) -> str:
        assert main(["bench", "--engine", str(engine), *map(str, words)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    return run


@pytest.mark.usefixtures("short_looks")
def test_a_graph_of_a_fixed_batch_is_measured_in_batches(trained_run, tmp_path):
    graph, file = tmp_path / "hkt.onnx", tmp_path / "bench.json"
    assert main(["export", str(trained_run), "--batch", "2", "--output", str(graph)]) == 0
    words = ["--backend", "openvino", "--duration", "0.1", "--json", file]
    assert main(["bench", "--engine", str(graph), *map(str, words)]) == 0
    figures = json.loads(file.read_text())
    assert list(figures["throughput_fps"]) == ["2"]
    inference = figures["latency_ms"]["inference"]["median"] / 1e3
    assert figures["macs_per_second"] == pytest.approx(2 * figures["macs"] / inference)


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_report_json_and_summary_tell_the_same(exported, backend, tmp_path, capsys):
    page, file = tmp_path / "reports" / "bench.html", tmp_path / "bench.json"
    words = ["--backend", backend, "--duration", "0.2", "--batch", "1", "--html", page, "--json", file]
    assert main(["bench", "--engine", str(exported), *map(str, words)]) == 0
    figures, said, html = json.loads(file.read_text()), capsys.readouterr().out, page.read_text()
    assert figures["device"]["bandwidth_bytes_per_second"] > 0
    slowest = figures["layers"][0]
    assert slowest["time_ms"] >= figures["layers"][1]["time_ms"]
    assert "slowest layers" in said
    assert f"the other {len(figures['layers']) - 5}" in said
    assert f"{len(figures['layers'])} layers take" in said
    assert f"{len(figures['layers'])} layers take" in html
    assert f"they take {figures['time_over_floor']:.2f} times that." in " ".join(said.split())
    assert f"they take {figures['time_over_floor']:.2f} times that." in html
    held = figures["memory"]
    assert 0 < held["process"] <= held["peak"]
    assert f"the process holds {held['process'] / 1e6:.0f} MB with it, {held['peak'] / 1e6:.0f} MB at most" in said
    assert f" GMAC/s in {figures['device']['peak_arithmetic']['fp32']}" in said
    assert f"<title>{(slowest['weights'] or slowest['name'])}: " in html or slowest["macs"] == 0
    assert figures["engine"]["sha256"] in html
    assert "CUDA graphs" not in said
    for told in ("on", "off: pycuda has no CUDA graphs"):
        figures["engine"]["cuda_graphs"] = told
        print_result(BenchResult(**figures))
        assert f"\n3 slots; CUDA graphs: {told}\n" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_refused_before_measuring(refused, tmp_path):
    (tmp_path / "file").write_text("kept")
    assert f"{tmp_path / 'file'} is not a folder" in refused("--html", tmp_path / "file" / "bench.html")
    assert "it is a folder, give the name of a file" in refused("--json", tmp_path)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_others_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(EdgekdError, match="no permission to write"):
        require_writable(tmp_path / "new" / "bench.html")


def test_one_file_for_both_is_refused(refused, tmp_path):
    said = refused("--html", tmp_path / "bench", "--json", tmp_path / "bench")
    assert "--json and --html both name" in said
    assert not (tmp_path / "bench").exists()


def test_the_artifact_is_not_written_over(refused, exported, tmp_path):
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    copy = tmp_path / exported.name
    before = manifest_path(copy).read_text()
    assert "belongs to the artifact that is measured" in refused("--json", manifest_path(copy), engine=copy)
    assert "belongs to the artifact that is measured" in refused("--html", copy, engine=copy)
    assert manifest_path(copy).read_text() == before


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


@pytest.mark.usefixtures("short_looks")
def test_readers_are_as_many_as_asked_for(exported, tmp_path, capsys):
    words = ["--engine", str(exported), "--backend", "onnxruntime"]
    file = tmp_path / "bench.json"
    assert main(["bench", *words, "--duration", "0.1", "--readers", "3", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["measured"]["readers"] == 3
    assert "frames per second with resizing in 3 readers, " in capsys.readouterr().out
    assert main(["bench", *words, "--readers", "0"]) == 2


@pytest.mark.usefixtures("short_looks")
def test_the_command_and_the_function_give_the_same_answer_but_for_timings(trained_run, good_folder, tmp_path, capsys):
    graph = tmp_path / "any.onnx"
    assert main(["export", trained_run, "--batch", "dynamic", "--output", graph]) == 0
    capsys.readouterr()
    words = ["--engine", graph, "--images", good_folder, "--backend", "openvino", "--duration", "0.1"]
    assert main(["bench", *words, "--batch", "1", "--batch", "2", "--json", "-"]) == 0
    printed = capsys.readouterr()
    command = json.loads(printed.out)
    function = bench(graph, good_folder, batch=[1, 2], duration=0.1, backend="openvino").to_dict()
    for figures in (command, function):
        assert list(figures["throughput_fps"]) == ["1", "2"]
        assert figures["measured"].pop("frames") >= 10
        assert figures["device"].pop("peak_macs_per_second")["fp32"] > 0
        assert figures["device"].pop("bandwidth_bytes_per_second") > 0
    for name in ("engine", "device", "macs", "paper", "peak_share_of", "layers_batch"):
        assert command[name] == function[name], name
    assert command.keys() == function.keys()
    assert command["measured"]["images"] == function["measured"]["images"] == "24 of good"
    # Others are left out where they took less than a microsecond.
    first, second = ({layer["name"] for layer in each["layers"] if layer["macs"]} for each in (command, function))
    assert first == second
    assert "measuring latency: done" in printed.err
    assert "measuring throughput at batch 2: done" in printed.err


def test_a_duration_that_is_none_is_refused(refused):
    assert "must be a number from 0.1 to 3600, got '0'" in refused("--duration", "0")
    with pytest.raises(EdgekdError, match="duration must be a positive number of seconds, got 0"):
        bench("detector.onnx", duration=0)
