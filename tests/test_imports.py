"""What importing the package pulls in; who may import whom is held by import-linter's contracts in pyproject.toml."""

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
