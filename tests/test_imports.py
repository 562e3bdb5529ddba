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
