"""The script for a GPU, on the CPU: what it may import, that nothing hangs it, that its figures are right."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.artifact import read_json, write_json
from edgekd.data.generated_images import generated_frames
from edgekd.engines.cuda.ring import SlotRing
from edgekd.metrics.auroc import image_auroc as image_auroc_of_scikit_learn
from edgekd.recipe import TrainingRecipe
from edgekd.run_folder import STUDENT_FILE
from edgekd.training.checkpoints import read_checkpoint
from edgekd.training.run import load_run, start_run, train
from edgekd.training.stages import checkpoint_of
from edgekd.training.weight_files import read_weights

from ..engines.cuda.recording_driver import RecordingDriver

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = CHECKOUT / "benchmarks" / "gpu"
sys.path[:0] = [str(SCRIPT), str(CHECKOUT / "tests" / "gpu")]

import gpu_script.__main__ as script  # noqa: E402
from gpu_kernels import expected_answers, write_answers  # noqa: E402
from gpu_script.children import run_child  # noqa: E402
from gpu_script.networks import light_settings  # noqa: E402
from gpu_script.reference import FILE, answers  # noqa: E402
from gpu_script.restore import restore  # noqa: E402
from gpu_script.scores import image_auroc  # noqa: E402
from gpu_script.settings import SYSTEM_NAMES, make_settings  # noqa: E402
from gpu_script.system_worker import Worker  # noqa: E402
from gpu_script.train_one import finish_early, stage_progress  # noqa: E402
from gpu_script.training_speed import untrained_teacher  # noqa: E402
from gpu_script.weights import MOST_BYTES, read_parts, write_parts  # noqa: E402
from gpu_streams import keep_busy, stream_random_batches, uncaptured_reason  # noqa: E402

SIDE, LARGEST = 16, 4


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_the_reference_that_a_gpu_is_held_against_is_what_the_cpu_answers(system):
    with np.load(FILE) as reference:
        found = answers(system, reference["frames"], torch.device("cpu"))
        for name, values in found.items():
            np.testing.assert_allclose(values, reference[name], atol=1e-3 * reference[name].std(), rtol=1e-3)


def recorded_kernel(driver, spoil=None):
    """The byte kernel of tests/gpu on the memory of a driver without a GPU; `spoil` may change a batch's maps."""

    def compute(slot, count):
        def work():
            def memory(name, dtype, shape):
                size = int(np.prod(shape)) * np.dtype(dtype).itemsize
                return torch.from_numpy(driver.memory[slot.addresses[name]][:size].view(dtype).reshape(shape))

            maps = memory("anomaly_map", np.float32, (count, SIDE, SIDE))
            frames = memory("frames", np.uint8, (count, SIDE, SIDE, 3))
            write_answers(frames, memory("score", np.float32, (count,)), maps, rounds=2)
            if spoil is not None:
                spoil(maps)

        driver.compute(slot.stream, work)

    return compute


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (32, SIDE, SIDE, 3), np.uint8)


def test_what_tests_gpu_streams_through_a_ring_comes_out_bit_for_bit(frames):
    driver = RecordingDriver()
    ring = SlotRing(driver, (LARGEST, SIDE, SIDE), 4, recorded_kernel(driver))
    counts = stream_random_batches(ring, frames, expected_answers(frames), 500, LARGEST, np.random.default_rng(0))
    assert counts["frames"] >= 500
    assert uncaptured_reason(ring) is None
    rate, overlap = keep_busy(ring, frames[:LARGEST], 12)
    assert rate > 0
    assert overlap > 0


def test_a_wrong_pixel_in_each_later_batch_is_seen(frames):
    driver, runs = RecordingDriver(), []

    def spoil(maps):
        runs.append(None)
        if len(runs) >= 40:
            maps[0, 3, 5] += 1

    ring = SlotRing(driver, (LARGEST, SIDE, SIDE), 2, recorded_kernel(driver, spoil))
    with pytest.raises(AssertionError):
        stream_random_batches(ring, frames, expected_answers(frames), 2000, LARGEST, np.random.default_rng(0))


def test_the_kernels_answers_hold_every_byte(frames):
    torch_maps, torch_scores = torch.empty(len(frames), SIDE, SIDE), torch.empty(len(frames))
    write_answers(torch.from_numpy(frames), torch_scores, torch_maps, rounds=3)
    scores, maps = expected_answers(frames)
    assert np.array_equal(torch_maps.numpy(), maps)
    assert np.array_equal(torch_scores.numpy(), scores)
    assert len(np.unique(maps)) > 8000  # Of 8192 pixels with bytes by chance.


def test_image_auroc_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    scores, defective = random.integers(0, 9, 60).astype(np.float32), random.random(60) < 0.4
    assert image_auroc(scores, defective) == pytest.approx(image_auroc_of_scikit_learn(scores, defective))


def test_weights_are_carried_off_in_files_of_less_than_16_mb_and_put_together_again(tmp_path):
    state = {
        "half": torch.randn(5_000_000),
        "other": torch.randn(5_000_000),
        "large": torch.full((3,), 1e6),
        "count": torch.tensor(7),
    }
    files = write_parts(tmp_path, "x", state)
    assert files == ["x-1.safetensors", "x-2.safetensors"]
    assert all((tmp_path / name).stat().st_size < 16_000_000 for name in files)
    back = read_parts(tmp_path, files)
    assert torch.equal(back["half"], state["half"].half().float())
    assert torch.equal(back["large"], state["large"])
    assert back["count"] == 7
    assert write_parts(tmp_path, "x", {"small": torch.ones(3)}) == ["x.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.safetensors"]
    assert write_parts(tmp_path, "y", {str(index): torch.ones(MOST_BYTES // 2) for index in range(3)}) == []


def test_a_child_that_hangs_is_killed_with_what_it_started(tmp_path):
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(50)', sys.argv[1]])\n"
        "print('started', flush=True)\n"
        "time.sleep(50)\n"
    )
    assert run_child([sys.executable, "-c", code, str(tmp_path)], 2.0, tmp_path / "log") is None
    assert (tmp_path / "log").read_text() == "started\n"
    assert subprocess.run(["pgrep", "-f", f"time.sleep.*{tmp_path}"], capture_output=True).stdout == b""


INTERRUPTED_AS_IT_FORKS = """
import os, signal, sys
from pathlib import Path
from gpu_script.children import run_child

signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))
try:
    run_child([sys.executable, "-c", "import time; time.sleep(50)", sys.argv[1]], 20.0, Path(sys.argv[1]) / "log")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interruption_as_a_child_starts_is_not_lost(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{CHECKOUT}:{SCRIPT}"}
    command = [sys.executable, "-c", INTERRUPTED_AS_IT_FORKS, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "interrupted\n", done.stderr
    assert subprocess.run(["pgrep", "-f", f"time.sleep.*{tmp_path}"], capture_output=True).stdout == b""


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("import time; time.sleep(60)", "out of time", "killed after"),
        ("import sys; sys.exit('it broke')", "failed", "exit code 1: it broke"),
        ("pass", "failed", "without a result"),
    ],
)
def test_a_part_that_does_not_end_well_leaves_its_reason_and_is_not_green(tmp_path, monkeypatch, code, status, reason):
    monkeypatch.setattr(script, "part_command", lambda part, settings, *words: [sys.executable, "-c", code])
    monkeypatch.setattr(script, "SECONDS_TO_END", 0.5)
    lines = []
    assert not script.run_part("drivers", 1.0, make_settings(tmp_path, "cpu", 1), lines.append)
    content = read_json(tmp_path / "drivers.json")
    assert content["status"] == status
    assert reason in content["reason"]
    assert any(reason in line for line in lines)


def test_outcomes_of_tests_are_written_with_their_reasons_and_figures(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(record_property):\n    record_property('rate', 3.5)\n"
        "def test_bad():\n    assert 1 == 2, 'they differ'\n"
        "def test_skipped():\n    pytest.skip('not here')\n"
        "@pytest.fixture\ndef broken():\n    raise ValueError('no')\n"
        "def test_error(broken):\n    pass\n"
        "@pytest.mark.xfail(strict=False)\ndef test_unknown():\n    assert False\n"
    )
    record = tmp_path / "drivers.json"
    write_json(record, {"part": "drivers", "status": "running", "problems": []})
    environment = os.environ | {"PYTHONPATH": f"{CHECKOUT}:{SCRIPT}"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "gpu_script.outcomes"]
    command += ["--outcomes", str(record), "--rootdir", str(tmp_path), str(tmp_path)]
    subprocess.run(command, env=environment, capture_output=True)
    tests = {name.partition("::")[2]: entry for name, entry in read_json(record)["tests"].items()}
    assert {name: entry["outcome"] for name, entry in tests.items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_skipped": "skipped",
        "test_error": "error",
        "test_unknown": "failed as expected",
    }
    assert tests["test_good"]["figures"] == {"rate": 3.5}
    assert "they differ" in tests["test_bad"]["reason"]
    assert tests["test_skipped"]["reason"] == "not here"


def test_a_training_that_is_stopped_keeps_what_it_learned(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    import cv2

    for index, frame in enumerate(generated_frames(12, 64)):
        cv2.imwrite(str(images / f"{index}.png"), frame)
    teacher = untrained_teacher("efficientnet_lite1")
    recipe = TrainingRecipe(
        "dskd",
        str(images),
        {teacher.name: teacher.sha256},
        iterations=500,
        size=64,
        batch=2,
        settings=light_settings("dskd"),
    )
    recipe = start_run(tmp_path / "run", recipe, [teacher])

    def stop(iteration, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", torch.device("cpu"), stop)
    finish_early(tmp_path / "run", recipe, torch.device("cpu"))
    detector, _ = load_run(tmp_path / "run")
    assert stage_progress(tmp_path / "run", detector, recipe)["students"]["done"] == 25
    assert stage_progress(tmp_path / "run", detector, recipe)["fusion"]["done"] == 0
    learned = read_checkpoint(checkpoint_of(tmp_path / "run", "students"))["module"]
    written = read_weights(tmp_path / "run" / STUDENT_FILE)
    assert all(torch.equal(written[f"students.{key}"], value) for key, value in learned.items())


@pytest.fixture(scope="module")
def lone_environment(tmp_path_factory):
    """The environment of a machine that has nothing but what the script may use, and no network."""
    folder = tmp_path_factory.mktemp("lone")
    shutil.copy(Path(__file__).with_name("refuse.py"), folder / "sitecustomize.py")
    return os.environ | {"PYTHONPATH": f"{folder}:{CHECKOUT}:{SCRIPT}", "REFUSE_ROOT": str(CHECKOUT)}


def test_the_refusal_of_packages_works(lone_environment, tmp_path):
    code = "import torch, cv2, importlib.util as u; print([u.find_spec(n) for n in ('openvino', 'sklearn', 'onnxsim')])"
    done = subprocess.run([sys.executable, "-c", code], env=lone_environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[None, None, None]", done.stderr
    probe = CHECKOUT / "tests" / "benchmarks" / "refuse.py"
    code = f"exec(compile('import jinja2', {str(probe.with_name('probe.py'))!r}, 'exec'))"
    done = subprocess.run([sys.executable, "-c", code], env=lone_environment, capture_output=True, text=True)
    assert "No module named 'jinja2'" in done.stderr
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", code], env=lone_environment, capture_output=True, text=True)
    assert "the network is not there" in done.stderr


PARTS_IN_SMALL = """
import sys
from pathlib import Path
import gpu_script.device, gpu_script.drivers, gpu_script.training, gpu_script.__main__
from gpu_script import systems
from gpu_script.part import Clock
from gpu_script.record import Record
from gpu_script.settings import make_settings
out = Path(sys.argv[1])
systems.SYSTEM_NAMES = ('dskd',)
systems.measure(make_settings(out, 'cpu', 1), Clock(300), Record(out / 'systems.json'))
"""


def test_the_parts_import_nothing_that_a_machine_with_torch_alone_lacks(lone_environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PARTS_IN_SMALL, str(tmp_path)], env=lone_environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    content = read_json(tmp_path / "systems.json")
    assert content["problems"] == []
    dskd = content["systems"]["dskd"]
    assert dskd["training"]["iterations_per_second"] > 0
    for precision, batch, apart in (("fp32", "1", 1e-3), ("fp32", "2", 1e-3), ("fp16", "1", 0.5)):
        row = dskd[precision][batch]["eager"]
        assert row["off_by"] < apart
        assert row["latency_ms"]["inference"]["median"] > 0
        assert row["macs"] == dskd["macs"] > 1e7
    row = dskd["fp32"]["1"]["eager"]
    peak = content["device"]["peak_macs_per_second"]["fp32"]
    assert row["peak_share"] == pytest.approx(row["macs"] / row["latency_ms"]["inference"]["median"] * 1e3 / peak)
    assert row["floor_ms"] >= row["macs"] / peak * 1e3


@pytest.fixture(scope="module")
def carried(tmp_path_factory, elpv_images):
    """A carried folder of real cells, small, as prepare.sh makes it."""
    import cv2

    data = tmp_path_factory.mktemp("data")
    for folder, first, count in (
        ("mvtec_ad/cell/train/good", 0, 34),
        ("mvtec_ad/cell/test/good", 40, 3),
        ("mvtec_ad/cell/test/crack", 50, 3),
        ("dtd/banded", 60, 3),
        ("imagenet_sample", 70, 22),
    ):
        (data / folder).mkdir(parents=True)
        for path in elpv_images[first : first + count]:
            shutil.copy(path, data / folder)
    masks = data / "mvtec_ad" / "cell" / "ground_truth" / "crack"
    masks.mkdir(parents=True)
    for path in (data / "mvtec_ad/cell/test/crack").iterdir():
        mask = np.zeros((300, 300), np.uint8)
        mask[100:200, 100:200] = 255
        cv2.imwrite(str(masks / f"{path.stem}_mask.png"), mask)
    folder = tmp_path_factory.mktemp("carried") / "carried"
    environment = os.environ | {"EDGEKD_GPU_CARRIED": str(folder), "PYTHON": sys.executable}
    command = ["bash", str(SCRIPT / "prepare.sh"), str(data)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


def test_what_is_prepared_is_whole_and_small(carried):
    contents = read_json(carried / "contents.json")
    assert (contents["good_images"], contents["test_images"]) == (34, 6)
    assert (contents["textures"], contents["images"]) == (3, 22)
    assert set(contents["teachers"]) == {"efficientnet_lite0", "efficientnet_lite1"}
    assert sum(path.stat().st_size for path in carried.rglob("*") if path.is_file()) < 35_000_000
    assert len(list((carried / "category" / "ground_truth" / "crack").iterdir())) == 3


TRAINING_IN_SMALL = """
import sys, time
from pathlib import Path
out = Path(sys.argv[1])
import os
from gpu_script.settings import SYSTEM_NAMES, make_settings, environment
settings = make_settings(out, 'cpu', 1)
os.environ.update(environment(settings))
from gpu_script import part, teachers, train_one, training
from gpu_script.record import Record
teachers.REHEARSAL['images'] = 21
import torch
torch.set_num_threads(1)
record = Record(out / 'training.json')
one = Record(settings.work / 'training' / 'hkt.json')
train_one.Training(settings, 'hkt', time.monotonic() + 600, one).run()
record.put('systems', 'hkt', value=one.content)
teachers.NETWORKS = ('pdn_small',)
teachers.distil_both(settings, part.Clock(600), Record(out / 'teachers.json'))
os._exit(0)
"""


def test_a_student_and_a_teacher_trained_there_come_out_and_are_of_use_here(
    lone_environment, carried, tmp_path, monkeypatch
):
    environment = lone_environment | {"EDGEKD_GPU_CARRIED": str(carried)}
    command = [sys.executable, "-c", TRAINING_IN_SMALL, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    hkt = read_json(tmp_path / "training.json")["systems"]["hkt"]
    assert 0 <= hkt["metrics"]["image_auroc"] <= 1
    assert 0 <= hkt["metrics"]["pixel_auroc"] <= 1
    assert hkt["iterations_done"] == 1
    distilled = read_json(tmp_path / "teachers.json")
    assert distilled["problems"] == []
    assert (tmp_path / distilled["teachers"]["pdn_small"]["file"]).stat().st_size < 16_000_000
    for module in ("gpu_script.restore", "gpu_script.carried"):
        for name, value in (("CATEGORY", "category"), ("TEXTURES", "textures"), ("TEACHERS", "teachers")):
            monkeypatch.setattr(f"{module}.{name}", carried / value)
    monkeypatch.setattr("gpu_script.carried.CONTENTS", carried / "contents.json")
    monkeypatch.setenv("EDGEKD_TEACHERS", "")  # So that it is put back.
    restore(tmp_path, "hkt", tmp_path / "run")
    detector, recipe = load_run(tmp_path / "run")
    assert len(recipe.held_out) == 3
    trained = read_weights(tmp_path / "work" / "runs" / "hkt" / STUDENT_FILE)
    restored = detector.state_dict()
    assert all(torch.equal(restored[key], value.half().float()) for key, value in trained.items())


@pytest.mark.slow
def test_a_compiled_network_answers_what_the_eager_one_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    worker = Worker("cpu", 64, tmp_path, 1)
    worker.build("hkt")
    assert worker.compile("hkt", "fp32", 1)["compile_s"] > 0
    figures = worker.measure_compiled("hkt", "compile", 0.0, 1)
    assert figures["off_by"] < 1e-4
    assert figures["throughput_fps"] > 0


@pytest.mark.slow
def test_the_whole_script_rehearsed_leaves_every_parts_file(lone_environment, carried, tmp_path):
    environment = lone_environment | {"EDGEKD_GPU_CARRIED": str(carried), "PYTHON": sys.executable}
    command = ["bash", str(SCRIPT / "run.sh"), str(tmp_path / "out"), "4", "--device", "cpu", "--iterations", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=330, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = {part: read_json(tmp_path / "out" / f"{part}.json")["status"] for part in ("device", *script.SHARES)}
    assert statuses == {
        "device": "done",
        "drivers": "skipped",
        "systems": "done",
        "training": "done",
        "teachers": "done",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    json.loads((tmp_path / "out" / "systems.json").read_text())


def test_ctrl_c_ends_the_script_and_its_children(tmp_path):
    environment = os.environ | {"PYTHON": sys.executable}
    command = ["bash", str(SCRIPT / "run.sh"), str(tmp_path / "out"), "4", "--device", "cpu", "--iterations", "1"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert "device" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout == b""
