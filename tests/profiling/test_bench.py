import json

import numpy as np
import pytest

import edgekd.profiling.bench as bench_module
from edgekd.artifact import read_manifest
from edgekd.data.generated_images import generated_frames
from edgekd.engines import open_engine
from edgekd.models.registry import SYSTEMS
from edgekd.papers.efficiency import efficiency_figures
from edgekd.papers.tables import efficiency_rows, read_table
from edgekd.profiling.bench import measure_engine
from edgekd.profiling.peak import _chain, arithmetic, peak_macs_fp32, peak_macs_int8
from edgekd.resources import resource


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def figures(exported, told):
    """A bench of a trained detector, as short as may be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_module, "WARM_UP_SECONDS", 0.05)
        with open_engine(exported, "openvino", threads=1) as engine:
            images = list(generated_frames(3, 80))
            manifest = read_manifest(exported)
            return measure_engine(
                engine, exported, manifest, images, "3 generated ones", [1], 0.3, lambda *phase: told.append(phase)
            )


def test_the_json_has_its_fields(figures):
    assert figures == json.loads(json.dumps(figures, allow_nan=False))
    assert set(figures) >= {"device", "engine", "latency_ms", "runner_overhead", "throughput_fps", "macs", "peak_share"}
    assert set(figures["latency_ms"]) >= {"pre", "inference", "post", "end_to_end"}
    for times in figures["latency_ms"].values():
        assert list(times) == ["min", "mean", "median", "p90", "p95", "p99"]
        assert list(times.values()) == sorted(times.values()) or times["mean"] != times["median"]
        assert 0 <= times["min"] <= times["median"] <= times["p90"] <= times["p95"] <= times["p99"]


def test_the_stages_make_up_the_whole(figures):
    latency = figures["latency_ms"]
    parts = sum(latency[stage]["mean"] for stage in ("pre", "inference", "post"))
    assert latency["end_to_end"]["mean"] == pytest.approx(parts, rel=0.01)
    assert 0.5 < figures["runner_overhead"] < 2


def test_rates_and_shares_follow_from_what_was_measured(figures, exported):
    achieved = figures["macs"] / (figures["latency_ms"]["inference"]["median"] / 1e3)
    assert figures["macs"] == read_manifest(exported)["macs"]
    assert figures["macs_per_second"] == pytest.approx(achieved)
    assert figures["peak_share"] == pytest.approx(achieved / figures["device"]["peak_macs_per_second"]["fp32"])
    assert figures["throughput_fps"]["1"] > 0


def test_the_record_says_what_was_measured_on_what(figures, exported, told):
    manifest = read_manifest(exported)
    assert figures["engine"]["backend"] == "openvino"
    assert figures["engine"]["sha256"] == manifest["sha256"]
    assert figures["engine"]["trained"] is True
    assert figures["device"]["threads"] == 1
    assert figures["measured"]["frames"] >= 10
    assert figures["measured"]["images"] == "3 generated ones"
    phases = (
        "measuring the peak of the device",
        "measuring latency",
        "measuring throughput at batch 1",
        "measuring the peak of the device again",
        "measuring layers",
    )
    assert told == [(phase, done, 1) for phase in phases for done in (0, 1)]


def test_layers_stand_beside_floors_of_the_measured_limits(figures):
    device, layers = figures["device"], figures["layers"]
    assert [layer["time_ms"] for layer in layers] == sorted((layer["time_ms"] for layer in layers), reverse=True)
    assert sum(layer["macs"] for layer in layers) == figures["macs"]
    assert figures["layers_total_ms"] == pytest.approx(sum(layer["time_ms"] for layer in layers))
    assert figures["floor_ms"] == pytest.approx(sum(layer["floor_ms"] for layer in layers))
    assert figures["time_over_floor"] == pytest.approx(figures["layers_total_ms"] / figures["floor_ms"])
    assert device["peak_arithmetic"] == {"fp32": "float32"}
    for layer in layers:
        compute = layer["macs"] / device["peak_macs_per_second"]["fp32"] * 1e3
        memory = layer["bytes"] / device["bandwidth_bytes_per_second"] * 1e3
        assert layer["floor_ms"] == pytest.approx(max(compute, memory))
        assert layer["bound"] == ("compute" if compute > memory else "memory")


def test_the_distribution_holds_every_frame(figures):
    spread = figures["latency_distribution"]
    assert sum(spread["counts"]) + spread["above"] == figures["measured"]["frames"]
    assert spread["edges_ms"][0] == figures["latency_ms"]["end_to_end"]["min"]
    assert spread["edges_ms"][-1] == pytest.approx(figures["latency_ms"]["end_to_end"]["p99"])


def test_what_differs_from_the_papers_set_up_is_named(figures):
    paper = figures["paper"]
    assert paper["own"] == "HKT"
    assert "size: 64 pixels; the paper's 256" in paper["differences"]
    assert any("student only" in difference for difference in paper["differences"])


def test_printed_latency_is_kept_as_the_papers_own():
    rows = {row["method"]: row for row in efficiency_rows("mhkd")}
    assert (rows["MHKD (Ours)"]["latency_ms"], rows["MHKD (Ours)"]["throughput_img_s"]) == ("8.2", "151")
    assert efficiency_rows("hkt")[0]["latency_ms"] is None


def test_a_printed_figure_is_turned_into_both_conventions_only_where_its_own_is_known():
    rows = {row["method"]: efficiency_figures(row) for row in (*efficiency_rows("hkt"), *efficiency_rows("mhkd"))}
    assert rows["HKT"] == ("20.31", "40.62")
    assert rows["MHKD (Ours)"] == ("117.00", "234.00")
    assert rows["DRAEM"] == rows["GCAD"] == ("not known", "not known")
    assert rows["PatchCore"] == ("not known", "not known")  # Printed as 159 + kNN.


def test_the_papers_rows_stand_beside_with_their_convention(figures):
    rows = {row["method"]: row for row in figures["paper"]["rows"]}
    assert (rows["HKT"]["params_m"], rows["HKT"]["gflops"]) == ("2.85", "20.31")
    assert rows["HKT"]["flops_convention"].startswith("MACs")
    assert rows["HKT"]["included"].startswith("student only")


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_systems_table_is_readable_and_holds_the_system(system):
    own = {"hkt": "HKT", "hkt_plus": "HKT+", "mhkd": "MHKD (Ours)"}
    titles = {row["method"] for row in efficiency_rows(system)}
    assert own[system] in titles if system in own else not titles


def test_every_table_of_the_papers_is_a_table():
    tables = sorted(resource("benchmarks/papers", "hkt_table4_efficiency.csv").parent.glob("*.csv"))
    assert len(tables) > 10
    for path in tables:
        rows = read_table(path.stem)
        assert rows.height, path.name
        assert "method" in rows.columns, path.name
        assert not any(rows.null_count().row(0)), path.name


def test_the_peak_is_that_of_large_products(monkeypatch):
    monkeypatch.setattr("edgekd.profiling.peak.SIDE", 256)
    peak = peak_macs_fp32(0.05)
    assert 1e8 < peak < 1e14
    assert np.isfinite(peak)


def test_the_int8_peak_is_that_of_integer_kernels(monkeypatch):
    openvino = pytest.importorskip("openvino")
    for name, value in (("CHANNELS", 64), ("GRID", 16), ("LAYERS", 2)):
        monkeypatch.setattr(f"edgekd.profiling.peak.{name}", value)
    compiled = openvino.Core().compile_model(_chain(as_bytes=True), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = {
        node.get_rt_info()["primitiveType"].astype(str)
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    }
    assert all("I8" in kind.upper() for kind in kinds)
    assert 1e8 < peak_macs_int8(0.05) < 1e15


@pytest.mark.parametrize(
    ("instructions", "named"),
    [
        (("avx512_vnni", "amx_int8"), "INT8 with AMX"),
        (("avx512_vnni",), "INT8 with VNNI"),
        (("avx_vnni",), "INT8 with VNNI"),
        ((), "INT8 without VNNI or AMX"),
        (None, "INT8"),  # As on Windows, whose kernel names no instructions.
        (("asimddp", "i8mm"), "INT8 with matrix products (i8mm)"),
        (("asimddp",), "INT8 with dot products (asimddp)"),
    ],
)
def test_a_peak_names_the_fastest_instructions_of_the_processor(instructions, named):
    assert arithmetic("int8", instructions) == named
    assert arithmetic("fp32", instructions) == "float32"
