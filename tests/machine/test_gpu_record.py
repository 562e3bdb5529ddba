"""The record of a GPU: by a pretended NVML of machines with several, by the files of a Jetson, and in bench's words."""

import dataclasses
import itertools
import json
import stat
import time

import pytest

import edgekd.machine.jetson_gpu as jetson_gpu
import edgekd.profiling.bench as bench_module
from edgekd.artifact import read_manifest
from edgekd.cli.bench import print_result
from edgekd.data.generated_images import generated_frames
from edgekd.engines import EngineSpec, open_engine
from edgekd.machine.gpu_record import FIELDS, Places, openvino_fields, watch_gpu
from edgekd.profiling.bench import measure_engine
from edgekd.reports.bench_html import write_bench_report
from edgekd.reports.gpu_text import gpu_text, without_throttling
from edgekd.workflows.bench import BenchResult

from .pretended_nvml import PretendedNvml, made_gpu

FIRST, SECOND = "GPU-00000000-aaaa", "GPU-11111111-bbbb"
ORIN_MODEL = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
L4T = "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64\n"


def spec_of(uuid=SECOND, index=0, backend="tensorrt", device="NVIDIA RTX A2000 (8.6)"):
    return EngineSpec(backend, "10.13", device, 64, 64, 1, None, index, uuid)


def nowhere(folder):
    """A machine that is no Jetson."""
    return Places(folder, folder, folder, str(folder / "nvpmodel"))


@pytest.fixture
def has_gpus(monkeypatch):
    """Pretends a machine with GPUs; gives its NVML."""

    def pretend(*gpus, **more):
        library = PretendedNvml(gpus, **more)
        monkeypatch.setitem(__import__("sys").modules, "pynvml", library)
        return library

    return pretend


def watched(spec, places, seconds=0.0):
    with watch_gpu(spec, places) as watch:
        time.sleep(seconds)
    assert set(watch.record) == set(FIELDS)
    assert watch.record == json.loads(json.dumps(watch.record, allow_nan=False))
    return watch.record


def test_what_is_pretended_is_in_the_real_library():
    real = pytest.importorskip("pynvml")
    names = [name for name in dir(PretendedNvml) if name.lower().startswith("nvml")]
    assert len(names) > 15
    assert [name for name in names if not hasattr(real, name)] == []


def test_the_gpu_that_computed_is_told_and_not_the_first_on_the_bus(has_gpus, tmp_path):
    first, second = made_gpu(FIRST, name="NVIDIA T400"), made_gpu(SECOND, clocks={1: 1950, 2: 6000})
    library = has_gpus(first, second)
    record = watched(spec_of(index=0), nowhere(tmp_path))  # CUDA_VISIBLE_DEVICES=1: CUDA's first is the second.
    assert (record["name"], record["uuid"], record["index"]) == ("NVIDIA RTX A2000", SECOND, 0)
    assert (record["driver"], record["cuda"], record["compute_capability"]) == ("580.65.06", "13.0", "8.6")
    assert record["memory_bytes"] == 6 * 2**30
    assert (record["power_limit_watts"], record["persistence"]) == (70.0, True)
    assert record["clocks_mhz"] == {
        "sm": {"before": 1950, "min": 1950, "max": 1950, "limit": 2100},
        "memory": {"before": 6000, "min": 6000, "max": 6000, "limit": 6001},
    }
    assert (record["highest_celsius"], record["throttling"]) == (61.0, [])
    assert record["samples"] >= 1
    assert (record["power_mode"], record["l4t"], record["jetpack"]) == (None, None, None)
    assert {handle for handle, _ in library.asked} == {1}
    assert library.open == 0


def test_what_slowed_it_down_is_said_in_words_with_its_share(has_gpus, tmp_path):
    # The look before the measuring is idle; then power limit, heat as well, and a setting that is no slowdown.
    reasons = itertools.chain([0x1, 0x4, 0x4 | 0x20], itertools.repeat(0x2))
    clocks = itertools.chain([{1: 210, 2: 405}] * 2, itertools.repeat({1: 1800, 2: 6000}))
    has_gpus(made_gpu(SECOND, reasons=reasons, clocks=clocks))
    record = watched(spec_of(), nowhere(tmp_path), 0.35)
    samples = record["samples"]
    assert samples >= 3
    assert record["throttling"] == [
        f"power limit (in {2 / samples:.0%} of {samples} samples)",
        f"temperature (software slowdown) (in {1 / samples:.0%} of {samples} samples)",
    ]
    assert record["clock_settings"] == ["clocks set by the user"]
    assert record["clocks_mhz"]["sm"] == {"before": 210, "min": 1800, "max": 1800, "limit": 2100}


def test_an_older_driver_is_asked_by_its_own_name_for_it(has_gpus, tmp_path):
    has_gpus(made_gpu(SECOND, reasons=0x40), missing=("nvmlDeviceGetCurrentClocksEventReasons",))
    record = watched(spec_of(), nowhere(tmp_path))
    assert record["throttling"] == [f"temperature (hardware slowdown) (in 100% of {record['samples']} samples)"]


def test_a_slice_of_a_gpu_has_its_own_memory_and_the_clocks_of_the_whole(has_gpus, tmp_path):
    has_gpus(made_gpu(FIRST), made_gpu("GPU-whole"), slices={"MIG-22222222-cccc": 1})
    record = watched(spec_of(uuid="GPU-22222222-cccc"), nowhere(tmp_path))
    assert (record["uuid"], record["memory_bytes"]) == ("MIG-22222222-cccc", 10 * 2**30)
    assert record["clocks_mhz"]["sm"]["limit"] == 2100


def test_what_a_gpu_does_not_tell_is_none(has_gpus, tmp_path):
    has_gpus({"uuid": SECOND, "name": "NVIDIA GeForce"})
    record = watched(spec_of(), nowhere(tmp_path))
    assert record["name"] == "NVIDIA GeForce"
    assert (record["clocks_mhz"], record["throttling"], record["clock_settings"]) == (None, None, None)
    assert without_throttling(record) == "not reported by this GPU"
    assert gpu_text(record) == "NVIDIA GeForce, driver 580.65.06, CUDA 13.0"


def test_one_that_nvml_does_not_know_is_not_taken_for_another(has_gpus, tmp_path):
    has_gpus(made_gpu(FIRST), made_gpu(SECOND))
    for uuid in ("GPU-unknown", None):
        record = watched(spec_of(uuid=uuid), nowhere(tmp_path))
        assert (record["name"], record["uuid"]) == ("NVIDIA RTX A2000 (8.6)", uuid)
        assert record["driver"] is None


def test_an_engine_on_the_cpu_has_no_such_record_and_nothing_is_asked(has_gpus, tmp_path):
    library = has_gpus(made_gpu(FIRST))
    with watch_gpu(EngineSpec("openvino", "2026.4", "CPU", 64, 64, 1, 4), nowhere(tmp_path)) as watch:
        pass
    assert watch is None
    assert library.asked == []


def test_a_device_of_openvino_is_told_by_openvino_and_never_by_nvml(has_gpus, tmp_path):
    pytest.importorskip("openvino")
    library = has_gpus(made_gpu(FIRST))
    record = watched(spec_of(None, None, "openvino:gpu", "Intel(R) Arc(TM) Graphics (iGPU)"), nowhere(tmp_path))
    assert record["name"] == "Intel(R) Arc(TM) Graphics (iGPU)"
    assert record["throttling"] is None
    assert library.asked == []
    assert set(openvino_fields("NPU")) <= {"driver", "memory_bytes"}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def orin(tmp_path):
    """The files of an Orin Nano, and a program that stands in for nvpmodel."""
    write(tmp_path / "etc" / "nv_tegra_release", L4T)
    write(tmp_path / "proc" / "meminfo", "MemTotal:        7802916 kB\nMemFree:          191572 kB\n")
    write(tmp_path / "sys" / "firmware" / "devicetree" / "base" / "model", f"{ORIN_MODEL}\0")
    devfreq, thermal = tmp_path / "sys" / "class" / "devfreq", tmp_path / "sys" / "class" / "thermal"
    write(devfreq / "17000000.gpu" / "cur_freq", "612000000\n")
    write(devfreq / "17000000.gpu" / "max_freq", "1020000000\n")
    for number, (kind, value) in enumerate((("cpu-thermal", "53968"), ("gpu-thermal", "53343"))):
        write(thermal / f"thermal_zone{number}" / "type", f"{kind}\n")
        write(thermal / f"thermal_zone{number}" / "temp", f"{value}\n")
    for number, kind in enumerate(("pwm-fan", "gpu-throttle-alert", "cpu-throttle-alert")):
        write(thermal / f"cooling_device{number}" / "type", f"{kind}\n")
        write(thermal / f"cooling_device{number}" / "cur_state", "3\n" if kind == "pwm-fan" else "0\n")
    for number, enabled in ((1, "1"), (2, "0"), (3, "1")):
        folder = tmp_path / "sys" / "class" / "hwmon" / "hwmon3"
        write(folder / f"oc{number}_event_cnt", "7\n")
        write(folder / f"oc{number}_throt_en", f"{enabled}\n")
    program = tmp_path / "nvpmodel"
    program.write_text("#!/bin/bash\n[ \"$*\" = -q ] && printf 'NV Power Mode: MAXN_SUPER\\n2\\n'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Places(tmp_path / "etc", tmp_path / "proc", tmp_path / "sys", str(program))


@pytest.fixture
def no_nvml(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)


@pytest.mark.usefixtures("no_nvml")
def test_a_jetson_is_told_by_its_files_and_nvpmodel(orin):
    record = watched(spec_of(device="Orin (8.7)"), orin)
    assert (record["name"], record["compute_capability"]) == ("Orin (8.7)", "8.7")
    assert (record["power_mode"], record["l4t"], record["jetpack"]) == ("MAXN_SUPER", "36.4.7", "6.2.1")
    assert (record["cuda"], record["memory_bytes"]) == ("12.6", 7802916 * 1024)
    assert record["clocks_mhz"] == {"sm": {"before": 612, "min": 612, "max": 612, "limit": 1020}, "memory": None}
    assert (record["highest_celsius"], record["throttling"]) == (53.343, [])
    assert "power mode MAXN_SUPER, L4T 36.4.7, JetPack 6.2.1, up to 53 °C" in gpu_text(record)


@pytest.mark.usefixtures("no_nvml")
def test_a_jetson_that_gets_hot_or_draws_too_much_says_so(orin):
    with watch_gpu(spec_of(), orin) as watch:
        write(orin.sys_folder / "class" / "thermal" / "cooling_device1" / "cur_state", "1\n")
        for number in (2, 3):  # The second counts, and slows nothing down.
            write(orin.sys_folder / "class" / "hwmon" / "hwmon3" / f"oc{number}_event_cnt", "34\n")
    hot, current = watch.record["throttling"]
    assert hot.startswith("temperature (gpu) (in ")
    assert current == "current peak too high (27 times)"


def test_on_a_jetson_nvml_comes_first_and_the_files_fill_what_it_lacks(has_gpus, orin):
    has_gpus({"uuid": SECOND, "name": "Orin (nvgpu)", "clocks": {1: 918, 2: 2133}})
    record = watched(spec_of(), orin)
    assert (record["name"], record["driver"], record["cuda"]) == ("Orin (nvgpu)", "580.65.06", "13.0")
    assert record["clocks_mhz"]["sm"] == {"before": 918, "min": 918, "max": 918, "limit": 1020}
    assert (record["highest_celsius"], record["compute_capability"]) == (53.343, "8.7")
    assert record["memory_bytes"] == 7802916 * 1024


@pytest.mark.parametrize("script", ["exit 1", "echo nothing of use", "sleep 5", "printf '\\xff\\xfe'"])
def test_an_nvpmodel_that_does_not_tell_is_no_power_mode(script, orin, monkeypatch):
    monkeypatch.setattr(jetson_gpu, "PROGRAM_SECONDS", 0.3)
    with open(orin.nvpmodel, "w") as program:
        program.write(f"#!/bin/bash\n{script}\n")
    assert jetson_gpu.power_mode(orin.nvpmodel) is None
    assert jetson_gpu.power_mode(str(orin.etc / "gone")) is None


def test_thor_has_its_clocks_under_other_names(tmp_path):
    devfreq = tmp_path / "class" / "devfreq"
    write(devfreq / "gpu-gpc-0" / "cur_freq", "1575000000\n")
    write(devfreq / "gpu-gpc-0" / "max_freq", "1575000000\n")
    write(devfreq / "bwmgr" / "cur_freq", "4266000000\n")
    assert jetson_gpu.gpu_clock(tmp_path) == (1575, 1575)
    assert jetson_gpu.memory_clock(tmp_path) == (4266, None)
    write(devfreq / "gpu-gpc-0" / "cur_freq", "\n")
    assert jetson_gpu.gpu_clock(tmp_path) is None


def test_bench_reads_power_and_record_from_the_gpu_of_the_engine(exported, has_gpus, tmp_path, monkeypatch, capsys):
    """A whole bench of an engine that says it runs on the second GPU of this machine."""
    monkeypatch.setattr(bench_module, "WARM_UP_SECONDS", 0.05)
    monkeypatch.setattr("edgekd.machine.power.shutil.which", lambda program: None)
    has_gpus(made_gpu(FIRST, milliwatts=9000), made_gpu(SECOND, reasons=0x4))
    manifest = read_manifest(exported)
    with open_engine(exported, "openvino", threads=1) as engine:
        spec = dataclasses.replace(engine.spec, backend="tensorrt", threads=None, gpu_index=0, gpu_uuid=SECOND)
        monkeypatch.setattr(engine, "spec", spec)
        figures = measure_engine(engine, exported, manifest, list(generated_frames(2, 80)), "2 images", [1], 0.2)
    assert figures["device"]["gpu"]["uuid"] == SECOND
    assert figures["device"]["gpu"]["samples"] >= 3  # Latency and throughput, 0.2 s each.
    power = figures["power"]["1"]
    assert (power["source"], power["mean_watts"]) == (f"NVML, {SECOND}", pytest.approx(55.5))
    print_result(BenchResult(**figures))
    said = capsys.readouterr().out
    assert "GPU: NVIDIA RTX A2000, driver 580.65.06, CUDA 13.0, compute capability 8.6, 6.0 GiB" in said
    assert "warning: the GPU was throttled while it was measured: power limit (in 100% of" in said
    page = tmp_path / "bench.html"
    write_bench_report(page, figures)
    assert "power limit (in 100% of" in page.read_text()
