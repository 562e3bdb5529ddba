import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from edgekd.machine.power import PowerReading, find_sampler, measure_by, measure_power
from edgekd.machine.power_sources import NvmlSampler, RaplSampler, TegrastatsSampler

from .pretended_nvml import PretendedNvml, made_gpu

# Two recorded lines of an Orin Nano, 4.761 and 12.479 W, and one that was cut.
LINES = (
    "04-27-2026 14:59:41 RAM 775/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729,0%@729,0%@729,0%@729,"
    "0%@729] GR3D_FREQ 0% cpu@48.468C gpu@48.562C tj@49.156C VDD_IN 4761mW/4778mW VDD_CPU_GPU_CV 515mW/501mW",
    "11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) CPU [15%@729] GR3D_FREQ 63%@[621] "
    "cpu@53.968C gpu@53.343C VDD_IN 12479mW/12479mW VDD_CPU_GPU_CV 4667mW/4667mW",
    "11-15-2024 08:38:09 RAM 6185/76",
)


def pretended(folder: Path, lines: tuple[str, ...], after: str = "sleep 60") -> str:
    """A program that takes tegrastats' arguments, prints lines at that interval, over and over, and notes its pid."""
    program = folder / "tegrastats"
    printed = "\n".join(f"printf '%s\\n' '{line}'; sleep $pause" for line in lines)
    program.write_text(
        f'#!/bin/bash\necho $$ > "{folder}/pid"\necho "$@" > "{folder}/arguments"\n'
        f"pause=$(printf '0.%03d' \"$2\")\n{printed}\n{after}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_tegrastats_is_sampled_and_summed_up(tmp_path):
    program = pretended(tmp_path, LINES)
    started = time.perf_counter()
    with measure_by(find_sampler(program)) as reading:
        assert (reading.source, reading.samples) == ("tegrastats", 0)
        time.sleep(1.0)
    took = time.perf_counter() - started
    assert (tmp_path / "arguments").read_text().split() == ["--interval", "100"]
    assert (reading.samples, reading.skipped) == (2, 1)
    assert reading.peak_watts == 12.479
    assert 4.761 < reading.mean_watts < 12.479
    assert reading.highest_celsius == 53.968
    assert reading.mean_watts * 0.95 <= reading.joules <= reading.mean_watts * took
    assert reading.joules_per_frame(10) == pytest.approx(reading.joules / 10)
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert "power" not in {thread.name for thread in threading.enumerate()}


def test_tegrastats_is_ended_when_the_block_fails(tmp_path):
    program = pretended(tmp_path, LINES[:1])
    measuring = measure_by(TegrastatsSampler(program))
    reading = measuring.__enter__()
    time.sleep(0.5)
    assert not measuring.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert reading.mean_watts == 4.761


def test_a_tegrastats_that_does_not_want_to_end_is_killed(tmp_path):
    program = pretended(tmp_path, LINES[:1], after="trap '' TERM; while :; do sleep 0.2; done")
    with measure_by(TegrastatsSampler(program)):
        time.sleep(0.5)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_tegrastats_is_ended_at_ctrl_c(tmp_path):
    program = pretended(tmp_path, LINES[:1])
    code = f"""
        import time
        from edgekd.machine.power import find_sampler, measure_by
        with measure_by(find_sampler({program!r})):
            print("in the block", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout.readline() == b"in the block\n"
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_tegrastats_that_prints_nothing_of_use_leaves_none(tmp_path):
    program = pretended(tmp_path, ("cannot open /dev/null",), after="exit 1")
    with measure_by(TegrastatsSampler(program)) as reading:
        time.sleep(0.5)
    assert reading == PowerReading(source="tegrastats", skipped=1)
    assert reading.joules_per_frame(10) is None


def test_lines_without_rails_still_tell_the_temperature(tmp_path):
    program = pretended(tmp_path, (LINES[0].partition(" VDD_IN")[0],))
    with measure_by(TegrastatsSampler(program)) as reading:
        time.sleep(0.5)
    assert (reading.samples, reading.mean_watts, reading.joules) == (1, None, None)
    assert reading.highest_celsius == 49.156


def powercap(folder: Path, *packages: tuple[str, int]) -> Path:
    for number, (name, energy) in enumerate(packages):
        domain = folder / f"intel-rapl:{number}"
        domain.mkdir(parents=True)
        (domain / "name").write_text(f"{name}\n")
        (domain / "max_energy_range_uj").write_text("999999999\n")
        (domain / "energy_uj").write_text(f"{energy}\n")
    return folder


def test_rapl_counts_the_energy_of_all_packages_past_the_end_of_their_range(tmp_path):
    folder = powercap(tmp_path, ("package-0", 999_000_000), ("package-1", 5), ("psys", 0))
    with measure_by(RaplSampler.open(folder)) as reading:
        time.sleep(0.15)
        (folder / "intel-rapl:0" / "energy_uj").write_text("2000000\n")  # 3 J on, by way of 0.
        (folder / "intel-rapl:1" / "energy_uj").write_text("4000005\n")
        (folder / "intel-rapl:2" / "energy_uj").write_text("500000000\n")  # The whole system's is not the CPU's.
        time.sleep(0.25)
    assert reading.source == "RAPL, CPU packages"
    assert reading.joules == pytest.approx(7.0, rel=0.1)
    assert reading.peak_watts > reading.mean_watts > 0
    assert reading.highest_celsius is None


def test_rapl_is_not_opened_where_it_may_not_be_read_or_is_not_there(tmp_path):
    assert RaplSampler.open(tmp_path / "none") is None
    folder = powercap(tmp_path / "no_package", ("psys", 0))
    assert RaplSampler.open(folder) is None
    unreadable = powercap(tmp_path / "unreadable", ("package-0", 0))
    (unreadable / "intel-rapl:0" / "energy_uj").unlink()
    (unreadable / "intel-rapl:0" / "energy_uj").mkdir()  # As good as forbidden, for root too.
    assert RaplSampler.open(unreadable) is None


def test_a_machine_that_measures_nothing_says_so(tmp_path):
    with measure_by(None) as reading:
        pass
    assert reading == PowerReading()


@pytest.fixture
def has_gpus(monkeypatch):
    """Pretends a PC with GPUs; gives its NVML."""

    def pretend(*gpus, **more):
        library = PretendedNvml(gpus, **more)
        monkeypatch.setitem(sys.modules, "pynvml", library)
        monkeypatch.setattr("edgekd.machine.power.shutil.which", lambda program: None)
        return library

    return pretend


def test_nvml_without_a_driver_is_no_source():
    assert NvmlSampler.open("GPU-of-no-machine") is None


def test_power_is_that_of_the_gpu_that_computes(has_gpus):
    library = has_gpus(made_gpu("GPU-a", milliwatts=9000), made_gpu("GPU-b", milliwatts=41500, celsius=70))
    with measure_power("GPU-b") as reading:
        pass
    assert reading.source == "NVML, GPU-b"
    assert reading.samples >= 1
    assert (reading.mean_watts, reading.highest_celsius) == (41.5, 70.0)
    assert {handle for handle, _ in library.asked} == {1}


def test_a_gpu_that_idles_beside_the_cpu_is_not_what_was_measured(has_gpus, tmp_path):
    library = has_gpus(made_gpu("GPU-a"))
    sampler = find_sampler(powercap=powercap(tmp_path, ("package-0", 0)))
    assert sampler.name == "RAPL, CPU packages"
    assert library.asked == []


def test_the_cpus_power_never_stands_in_for_a_gpus(has_gpus, tmp_path):
    folder = powercap(tmp_path, ("package-0", 0))
    library = has_gpus(made_gpu("GPU-a"), made_gpu("GPU-b"), slices={"MIG-c": 0})
    for uuid in ("GPU-of-no-machine", "", "GPU-c"):  # Not here; not known, and two are here; a slice of one.
        assert find_sampler(powercap=folder, gpu_uuid=uuid) is None
    assert library.open == 0


def test_a_gpu_without_a_known_uuid_is_the_only_one(has_gpus):
    has_gpus(made_gpu("GPU-a", milliwatts=30000))
    with measure_power("") as reading:
        pass
    assert (reading.source, reading.mean_watts) == ("NVML, the only GPU", 30.0)


def test_this_machine_is_measured_by_what_it_has():
    with measure_power() as reading:
        time.sleep(0.15)
    assert (reading.source is None) == (reading.samples == 0)
