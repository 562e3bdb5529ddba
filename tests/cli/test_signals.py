"""Signals: whichever ends a command, what was done is kept, no file is half written, and the exit code names it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import edgekd
from edgekd.cli.signals import ending_signals
from edgekd.training.checkpoints import iterations_done
from edgekd.training.stages import checkpoint_of

from .logged import logged_rows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals as Linux has them")

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
ROOT = str(Path(edgekd.__file__).parents[1])
# Shells start what runs in the background with Ctrl-C ignored, nohup with SIGHUP; these tests mean the foreground.
MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from edgekd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

REPORT_EACH = "import edgekd.training.loop as loop\nloop.CHECK_EVERY = 1\n"
SAVE_OFTEN = "import edgekd.training.loop as loop\nloop.SAVE_SECONDS = 0.1\n"


def start(words, code=MAIN, before=()):
    command = [*before, sys.executable, "-c", code, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def many(elpv_images, tmp_path_factory):
    """A folder whose inspection takes longer than the signal: one image under many names."""
    folder = tmp_path_factory.mktemp("many")
    first = shutil.copy(elpv_images[0], folder / "00000.png")
    for number in range(1, 4000):
        os.link(first, folder / f"{number:05}.png")
    return folder


def inspection(exported, many, out):
    return ["inspect", "--engine", exported, "--source", many, "--threshold", "1e9", "--threads", 1, "--out", out]


def lines_until(process, enough):
    """The lines that a process prints until there are enough."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if len(lines) == enough:
            return lines
    raise AssertionError(f"it ended after {len(lines)} lines: {process.stderr.read()}")


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_an_inspection_that_a_signal_ends_keeps_what_it_answered(exported, many, tmp_path, number, code):
    process = start(inspection(exported, many, tmp_path / "out"))
    printed = lines_until(process, 10)
    process.send_signal(number)
    process.send_signal(number)  # As `timeout` does, and terminals that close.
    more, said = process.communicate(timeout=200)
    assert process.returncode == code, said
    assert said == ("edgekd: interrupted\n" if code == 130 else f"edgekd: interrupted by {number.name}\n")
    assert 10 <= len(printed) + len(more.splitlines()) <= logged_rows(tmp_path / "out") < 4000
    assert not list(tmp_path.rglob("*part*"))


def as_process_1():
    """The words that make a command process 1 of a namespace of its own; none where that is not allowed."""
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which(words[0]) is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no unshare, or no permission to make a process namespace")
    return words


def child_of(process):
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(path.read_text().split()[0])


def test_process_1_of_a_container_ends_by_sigterm_and_keeps_what_it_answered(exported, many, tmp_path):
    process = start(inspection(exported, many, tmp_path / "out"), before=as_process_1())
    printed = lines_until(process, 10)
    first = child_of(process)
    status = Path(f"/proc/{first}/status").read_text().splitlines()
    assert next(line for line in status if line.startswith("NSpid:")).split()[-1] == "1"
    os.kill(first, signal.SIGTERM)
    more, said = process.communicate(timeout=200)
    assert process.returncode == 143, said
    assert said == "edgekd: interrupted by SIGTERM\n"
    assert len(printed) + len(more.splitlines()) <= logged_rows(tmp_path / "out") < 4000


@pytest.mark.slow  # Two processes that train.
def test_kill_9_costs_what_was_trained_since_the_last_checkpoint_and_sigterm_nothing(
    good_folder, tiny_teacher, tmp_path
):
    run, checkpoint = tmp_path / "run", checkpoint_of(tmp_path / "run")
    common = ["--data", good_folder, "--teacher", tiny_teacher, "--size", 64, "--batch", 2]
    killed = start(["train", "hkt", "--run", run, *common, "--iterations", 100_000], SAVE_OFTEN + MAIN)
    deadline = time.monotonic() + 200
    while not checkpoint.exists():
        assert time.monotonic() < deadline, killed.communicate()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    kept = iterations_done(checkpoint)
    assert 0 < kept < 500  # By time, long before one is due by count.
    more = ["--iterations", kept + 20]
    resumed = start(["train", "hkt", "--run", run, "--resume", *more], REPORT_EACH + MAIN)
    first = next(line for line in resumed.stderr if f" of {kept + 20}, loss" in line)
    resumed.send_signal(signal.SIGTERM)
    said = resumed.communicate(timeout=200)[1].splitlines()
    assert resumed.returncode == 143, said
    assert f"saved; resume with: edgekd train hkt --run {run} --resume" in said
    assert said[-1] == "edgekd: interrupted by SIGTERM"
    assert kept < int(first.split()[2]) <= iterations_done(checkpoint) < kept + 20
    assert [path.name for path in run.glob("checkpoint*")] == [checkpoint.name]


# In a process of its own, since other threads of a test's process may put files in their places too.
INTERRUPTED_AT_THE_FIRST_FILE = """
import os, signal
original = os.replace


def interrupt(*paths):
    os.kill(os.getpid(), signal.SIGTERM)
    return original(*paths)


os.replace = interrupt
"""

COMMANDS = {
    "build": ["build", "RUN/detector.onnx", "--backend", "openvino"],
    "threshold": ["threshold", "RUN", "--good", "CATEGORY/train/good", "--write"],
    "inspect": ["inspect", "--engine", "RUN/detector.onnx", "--source", "CATEGORY/train/good", "--json", "NEW/a.json"],
    "demo": ["demo", "--out", "NEW"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_sigterm_ends_leaves_no_half_written_file(command, exported, category, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(exported.parent, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    places = {"RUN": str(run), "CATEGORY": str(category), "NEW": str(tmp_path / "new")}
    words = COMMANDS[command]
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    process = start(words, INTERRUPTED_AT_THE_FIRST_FILE + MAIN)
    said = process.communicate(timeout=200)[1]
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == "edgekd: interrupted by SIGTERM"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored():
    code = (
        "import os, signal\n"
        "from edgekd.cli.signals import ending_signals\n"
        "with ending_signals() as ending:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(ending.received)"
    )
    started = subprocess.run(["nohup", sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout == "None\n"


def test_the_handlers_of_whoever_calls_come_back():
    # In a process of its own: a signal to a worker of the test suite has ended it without a word.
    code = (
        "from signal import SIGHUP, SIGINT, SIGTERM, getsignal, raise_signal\n"
        "from edgekd.cli.signals import ending_signals\n"
        "def handlers(): return [getsignal(number) for number in (SIGINT, SIGTERM, SIGHUP)]\n"
        "before = handlers()\n"
        "try:\n"
        "    with ending_signals():\n"
        "        assert handlers() != before\n"
        "        raise_signal(SIGTERM)\n"
        "except KeyboardInterrupt:\n"
        "    print(handlers() == before)"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout == "True\n"


def test_outside_the_main_thread_signals_stay_as_they_are():
    seen = []

    def look():
        with ending_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_what_hangs_while_it_ends_is_left_by_a_second_signal():
    code = (
        "import signal, sys, time\n"
        "from edgekd.cli import signals\n"
        "signals.ASKED_TWICE = 0\n"
        "with signals.ending_signals():\n"
        "    try:\n"
        "        print(flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print(flush=True)\n"
        "        time.sleep(60)\n"
    )
    process = start([], code)
    for _ in range(2):
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[1] == "edgekd: ended at once: it was asked to end twice\n"
    assert process.returncode == 143
