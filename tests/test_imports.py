"""What importing the package pulls in; who may import whom is held by import-linter's contracts in pyproject.toml."""

import json
import subprocess
import sys

TORCH_AND_ONNX = {"torch", "onnx", "onnxsim", "safetensors", "onnxscript"}


def test_importing_what_a_station_runs_pulls_in_neither_torch_nor_onnx():
    code = (
        "import edgekd.runner, edgekd.runner.sinks, edgekd.engines, edgekd.profiling.bench, edgekd.cli.inspect, "
        "edgekd.cli.build, sys\n"
        f"print(sorted(set(sys.modules) & {TORCH_AND_ONNX!r}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


WITHOUT_POSIX = """
import os, signal, sys

# Windows has none of these.
for module in ("fcntl", "grp", "posix_ipc", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[module] = None
for name in ("chown", "fork", "geteuid", "getuid", "killpg", "mkfifo", "sched_getaffinity", "statvfs", "sysconf"):
    delattr(os, name)
del signal.SIGKILL, signal.SIGHUP

from edgekd.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def test_nothing_posix_only_is_imported_on_the_way_to_inspect(exported, good_folder, tmp_path):
    words = ["inspect", "--engine", exported, "--source", good_folder, "--out", tmp_path / "out", "--json", "-"]
    command = [sys.executable, "-c", WITHOUT_POSIX, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)["verdicts"]
    assert verdicts["ERROR"] == 0
    assert sum(verdicts.values()) == len(list(good_folder.iterdir()))
    assert (tmp_path / "out" / "verdicts.parquet").is_file()
