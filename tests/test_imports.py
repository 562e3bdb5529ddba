"""What importing the package pulls in; who may import whom is held by import-linter's contracts in pyproject.toml."""

import json
import subprocess
import sys

TORCH_AND_ONNX = {"torch", "onnx", "onnxsim", "safetensors", "onnxscript"}


def test_importing_what_a_station_runs_pulls_in_neither_torch_nor_onnx():
    code = (
        "import edgekd.runner, edgekd.runner.sinks, edgekd.engines, edgekd.profiling.bench, edgekd.machine.diagnosis, "
        "edgekd.workflows.inspect, edgekd.workflows.evaluate, edgekd.workflows.evaluation, edgekd.workflows.bench, "
        "edgekd.reports.evaluation_html, edgekd.reports.bench_html, edgekd.cli.inspect, edgekd.cli.build, "
        "edgekd.workflows.build, edgekd.profiling.verification, edgekd.engines.compiling, sys\n"
        f"print(sorted(set(sys.modules) & {TORCH_AND_ONNX!r}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_polars_is_loaded_by_what_uses_it_and_not_by_the_package_or_its_help():
    code = (
        "import sys, edgekd\n"
        "from edgekd.cli.main import main\n"
        "main(['--help']); main(['papers', '--help'])\n"
        "print('polars' in sys.modules)\n"
        "import edgekd.papers\n"
        "print('polars' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.split()[-2:] == ["False", "True"], printed


WITHOUT_POSIX = """
import os, shutil, signal, sys

disk = shutil.disk_usage(".")
shutil.disk_usage = lambda path: disk  # Windows has it, by other means.
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
    assert (tmp_path / "out" / "verdicts.sqlite").is_file()


def test_an_engine_is_built_and_compared_with_neither_torch_nor_onnx(exported, tmp_path):
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({TORCH_AND_ONNX!r}))\n"  # None in place of a module: it cannot be imported.
        "from edgekd.workflows.build import build\n"
        f"result = build({str(exported)!r}, backend='openvino', output={str(tmp_path / 'x.engine')!r})\n"
        "print(result.built, result.compared, result.verified['noise'] < 1e-4)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["True", "True", "True"]
