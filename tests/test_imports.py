"""What importing the package pulls in; who may import whom is held by import-linter's contracts in pyproject.toml."""

import subprocess
import sys

TORCH_AND_ONNX = {"torch", "onnx", "onnxsim", "safetensors", "onnxscript"}


def test_importing_what_a_station_runs_pulls_in_neither_torch_nor_onnx():
    code = (
        "import edgekd.runner, edgekd.runner.sinks, edgekd.engines, edgekd.profiling.bench, edgekd.cli.inspect, "
        "edgekd.cli.build, edgekd.workflows.build, edgekd.profiling.verification, edgekd.engines.compiling, sys\n"
        f"print(sorted(set(sys.modules) & {TORCH_AND_ONNX!r}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


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
