"""The machine by recorded files: of Jetsons, of a PC, and of one that says nothing."""

import dataclasses
from pathlib import Path

import pytest

from edgekd.engines import ACCELERATED, ALL_BACKENDS
from edgekd.machine.backends import Backend, install_line, try_backends, try_cuda
from edgekd.machine.jetpack import RELEASES, find_jetpack, read_l4t
from edgekd.machine.record import Gpu, Machine, read_cpu, read_machine

# Recorded on an Orin Nano with JetPack 6.2.1, a Thor with JetPack 7.0, an AGX Orin with JetPack 7.2; lists of flags are
# shortened.
R36 = """\
# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, DATE: Thu Sep 18 22:54:44 UTC 2025
# KERNEL_VARIANT: oot
TARGET_USERSPACE_LIB_DIR=nvidia
TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia
"""
R38 = "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, DATE: Fri Aug 22 00:55:42 UTC\n"
R39 = (
    "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, DATE: Mon Jun  1 09:28:48 PM UTC\n"
)
R35 = "# R35 (release), REVISION: 3.1, GCID: 32790763, BOARD: t186ref, EABI: aarch64, DATE: Wed Mar 15 07:54:12 UTC\n"
ORIN_CPU = """\
processor\t: 0
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp uscat \
ilrcpc flagm paca pacg
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1
"""
XAVIER_CPU = """\
processor\t: 0
model name\t: ARMv8 Processor rev 0 (v8l)
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm dcpop
CPU implementer\t: 0x4e
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0x004
"""
CORE_ULTRA_CPU = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Core(TM) Ultra 7 155H
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov fma cx16 avx f16c rdrand bmi1 avx2 smep bmi2 \
erms sha_ni xsaveopt avx_vnni dtherm ida arat umip pku ospke waitpkg gfni vaes vpclmulqdq
vmx flags\t: vnmi preemption_timer posted_intr
"""
XEON_CPU = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu vme avx avx2 avx512f avx_vnni avx512_bf16 avx512_vnni avx512_bitalg amx_bf16 amx_tile amx_int8
"""
NVRM = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  555.42.06  Release Build  (abuild@host)  Thu Jul 11\n"
NVRM_CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version: 12\n"
)


@pytest.fixture
def machine(tmp_path):
    return read_machine(tmp_path, tmp_path, tmp_path, tmp_path)


def jetson(machine: Machine, l4t: str) -> Machine:
    return dataclasses.replace(machine, l4t=l4t, jetpack=find_jetpack(l4t))


def station(machine: Machine, driver: str, cuda: str | None) -> Machine:
    return dataclasses.replace(machine, gpu=Gpu("NVIDIA RTX A2000", driver, cuda, None), nvidia_card=True)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("content", "l4t", "release", "tensorrt", "python"),
    [
        (R36, "36.4.7", "6.2.1", "10.3", "3.10"),
        (R38, "38.2.0", "7.0", "10.13", "3.12"),
        (R39, "39.2.0", "7.2", "10.16", "3.12"),
        (R39.replace("2.0", "2.2"), "39.2.2", "7.2.2", "10.16", "3.12"),
        (R35, "35.3.1", "5.1.1", "8.5", "3.8"),
    ],
)
def test_a_jetson_is_known_by_its_release_file(content, l4t, release, tensorrt, python, tmp_path):
    (tmp_path / "nv_tegra_release").write_text(content)
    assert read_l4t(tmp_path) == l4t
    jetpack = find_jetpack(l4t)
    assert (jetpack.release, jetpack.tensorrt, jetpack.python) == (release, tensorrt, python)
    assert jetpack.is_supported == (not l4t.startswith("35"))


def test_the_releases_are_in_order_and_each_is_found_by_its_own_number():
    numbers = [tuple(int(part) for part in known.l4t.split(".")) for known in RELEASES]
    assert numbers == sorted(numbers)
    assert all(find_jetpack(known.l4t) is known for known in RELEASES)


def test_a_release_that_is_not_known_takes_the_nearest_older_one_of_its_line():
    assert find_jetpack("36.9").release == "6.2.2"
    assert find_jetpack("36.1") is None
    assert find_jetpack("41.0.0") is None
    assert not find_jetpack("36.3.0").is_supported  # JetPack 6.0 came with TensorRT 8.6.


@pytest.mark.parametrize("content", ["", "R36\n", "# R36 (release)\n", "# Rxx (release), REVISION: 4.3\n", "\0\xff"])
def test_a_damaged_release_file_is_no_jetson(content, tmp_path):
    (tmp_path / "nv_tegra_release").write_text(content, encoding="latin-1")
    assert read_l4t(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "name", "int8"),
    [
        (ORIN_CPU, "Arm Cortex-A78AE", ("asimddp",)),
        (XAVIER_CPU, "ARMv8 Processor rev 0 (v8l)", ()),
        (CORE_ULTRA_CPU, "Intel(R) Core(TM) Ultra 7 155H", ("avx_vnni",)),
        (XEON_CPU, "Intel(R) Xeon(R) Processor", ("avx512_vnni", "avx_vnni", "amx_int8")),
        ("", None, None),
    ],
)
def test_a_cpu_says_its_name_and_what_it_has_for_int8(content, name, int8, tmp_path):
    (tmp_path / "cpuinfo").write_text(content)
    cpu = read_cpu(tmp_path)
    assert (cpu.name, cpu.int8) == (name, int8)
    assert cpu.cores >= 1


def test_a_jetson_is_read_from_its_files(tmp_path):
    write(tmp_path / "etc" / "nv_tegra_release", R36)
    write(tmp_path / "proc" / "cpuinfo", ORIN_CPU)
    write(tmp_path / "proc" / "meminfo", "MemTotal:        7802916 kB\nMemFree:          191572 kB\n")
    model = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    write(tmp_path / "sys" / "firmware" / "devicetree" / "base" / "model", f"{model}\0")
    machine = read_machine(tmp_path / "etc", tmp_path / "proc", tmp_path / "sys", tmp_path)
    assert machine.model == model
    assert machine.jetpack.release == "6.2.1"
    assert machine.memory_bytes == 7802916 * 1024
    assert machine.free_disk_bytes > 0
    assert machine.packages["onnxruntime"]
    assert machine.packages["pycuda"] is None or machine.packages["pycuda"][0].isdigit()


@pytest.mark.parametrize(("content", "driver"), [(NVRM, "555.42.06"), (NVRM_CLOSED, "535.129.03")])
def test_a_gpu_is_seen_without_nvml_too(content, driver, tmp_path):
    write(tmp_path / "driver" / "nvidia" / "version", content)
    write(
        tmp_path / "driver" / "nvidia" / "gpus" / "0000:01:00.0" / "information",
        "Model: \t\t NVIDIA GeForce RTX 3060\nIRQ:   \t\t 130\nGPU UUID: \t GPU-0\nBus Type: \t PCIe\n",
    )
    from edgekd.machine.record import _gpu_by_kernel

    assert _gpu_by_kernel(tmp_path) == Gpu("NVIDIA GeForce RTX 3060", driver, None, None)


def test_a_card_without_a_driver_is_seen(tmp_path):
    write(tmp_path / "bus" / "pci" / "devices" / "0000:00:1f.3" / "vendor", "0x8086\n")
    write(tmp_path / "bus" / "pci" / "devices" / "0000:01:00.1" / "vendor", "0x10de\n")
    write(tmp_path / "bus" / "pci" / "devices" / "0000:01:00.1" / "class", "0x040300\n")  # The card's audio.
    assert not read_machine(sys_folder=tmp_path, proc=tmp_path).nvidia_card
    write(tmp_path / "bus" / "pci" / "devices" / "0000:01:00.0" / "vendor", "0x10de\n")
    write(tmp_path / "bus" / "pci" / "devices" / "0000:01:00.0" / "class", "0x030000\n")
    assert read_machine(sys_folder=tmp_path, proc=tmp_path).nvidia_card


def test_each_machine_gets_the_line_that_fits_it(machine):
    assert install_line("openvino", machine) == "pip install openvino"
    plain = dataclasses.replace(machine, gpu=None, nvidia_card=False)
    assert install_line("tensorrt", plain) is None
    assert install_line("tensorrt-rtx", plain) is None
    assert "driver" in install_line("tensorrt-rtx", dataclasses.replace(plain, nvidia_card=True))
    six, seven = jetson(plain, "36.4.3"), jetson(plain, "38.4.0")
    assert "'cuda-bindings==12.9.*'" in install_line("tensorrt", six)
    assert "python3-libnvinfer" in install_line("tensorrt", six)
    assert "'cuda-bindings==13.*'" in install_line("tensorrt", seven)
    assert install_line("tensorrt-rtx", six) is None
    for old in ("35.3.1", "36.3.0", "32.7.1"):
        assert "JetPack 6.1 or newer" in install_line("tensorrt", jetson(plain, old))
    new, old_driver = station(plain, "580.65.06", "13.0"), station(plain, "555.42.06", None)
    assert install_line("tensorrt-rtx", new) == "pip install 'edgekd[tensorrt-rtx]'"
    assert install_line("tensorrt", new) == "pip install 'edgekd[tensorrt]'"
    assert install_line("tensorrt", old_driver) == "pip install tensorrt-cu12 'cuda-bindings==12.9.*'"
    assert "580 or newer" in install_line("tensorrt-rtx", old_driver)


def test_an_accelerator_gets_a_line_where_the_machine_has_it_and_none_elsewhere(machine):
    plain = dataclasses.replace(machine, gpu=None, nvidia_card=False, intel_gpu=False, intel_npu=False, l4t=None)
    for name in ACCELERATED:
        assert install_line(name, plain, "what it lacks") is None
    assert install_line("openvino:gpu", dataclasses.replace(plain, intel_gpu=True), "its driver") == "its driver"
    assert install_line("openvino:npu", dataclasses.replace(plain, intel_npu=True), "its driver") == "its driver"
    assert "NVIDIA driver" in install_line("onnxruntime:cuda", dataclasses.replace(plain, nvidia_card=True), "x")
    assert install_line("onnxruntime:cuda", station(plain, "580.65.06", "13.0"), "pip install it") == "pip install it"
    assert "built for this JetPack" in install_line("onnxruntime:tensorrt", jetson(plain, "36.4.3"), "pip install it")


def test_intels_devices_are_seen_with_and_without_a_driver(tmp_path):
    devices = tmp_path / "bus" / "pci" / "devices"
    write(devices / "0000:00:1f.3" / "vendor", "0x8086\n")
    write(devices / "0000:00:1f.3" / "class", "0x040100\n")  # Its audio.
    seen = read_machine(sys_folder=tmp_path, proc=tmp_path)
    assert (seen.intel_gpu, seen.intel_npu) == (False, False)
    for place, kind in (("0000:00:02.0", "0x030000"), ("0000:00:0b.0", "0x120000")):
        write(devices / place / "vendor", "0x8086\n")
        write(devices / place / "class", f"{kind}\n")
    seen = read_machine(sys_folder=tmp_path, proc=tmp_path)
    assert (seen.intel_gpu, seen.intel_npu, seen.nvidia_card) == (True, True, False)


def test_back_ends_are_tried_for_real(machine):
    tried = {backend.name: backend for backend in try_backends(machine)}
    assert set(tried) == set(ALL_BACKENDS)
    assert [name for name in tried if ":" in name] == list(ACCELERATED)
    assert tried["onnxruntime"] == Backend("onnxruntime", machine.packages["onnxruntime"], True, None, None)
    device, why_not = try_cuda()
    assert (device is None) == bool(why_not)
    for backend in tried.values():
        assert backend.usable == (backend.why_not is None)
    if device is None:
        assert not any(tried[name].usable for name in ("tensorrt-rtx", "onnxruntime:cuda", "onnxruntime:tensorrt"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libopenvino.so.2640: cannot open shared object file')", "cannot open shared object file"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("raise SystemExit('wrong licence')", "wrong licence"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
    ],
)
def test_a_back_end_that_is_broken_says_why(code, said, machine, tmp_path, monkeypatch):
    (tmp_path / "openvino.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    backend = next(backend for backend in try_backends(machine) if backend.name == "openvino")
    assert not backend.usable
    assert said in backend.why_not
    assert "\n" not in backend.why_not
    assert backend.install == "pip install openvino"
