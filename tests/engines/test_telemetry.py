"""The back ends report to nobody: what they otherwise keep in the user's home to send is not there."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgekd
from edgekd.engines import BACKENDS
from edgekd.engines.runtimes import NO_TELEMETRY

PACKAGE = Path(edgekd.__file__).parent
INFERENCE = """
import sys
from pathlib import Path
import numpy as np
from edgekd.engines import open_engine
with open_engine(Path(sys.argv[1]), sys.argv[2], threads=1) as engine:
    engine.infer(np.zeros((1, 64, 64, 3), np.uint8))
"""


def run_at_home(home: Path, code: str, *arguments: object, **variables: str) -> str:
    """Runs Python as a user whose home is a folder, and who has said nothing about telemetry; gives its output."""
    unset = ("CI", "XDG_CACHE_HOME", NO_TELEMETRY)
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": str(home), **variables}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_an_engine_leaves_nothing_in_the_users_home(backend, exported, tmp_path):
    run_at_home(tmp_path, INFERENCE, exported, backend)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("chosen", ["true", "1"])
def test_what_the_user_says_about_onnxruntimes_telemetry_stays(chosen, tmp_path):
    code = f"""
import os
from edgekd.engines.runtimes import import_onnxruntime
assert import_onnxruntime().InferenceSession
print(os.environ[{NO_TELEMETRY!r}])
"""
    assert run_at_home(tmp_path, code, **{NO_TELEMETRY: chosen}).strip() == chosen
    assert run_at_home(tmp_path, code).strip() == "1"


def test_openvinos_telemetry_package_can_still_be_imported_afterwards(tmp_path):
    code = """
from edgekd.engines.runtimes import import_openvino
assert import_openvino().Core().available_devices
import openvino_telemetry
print(openvino_telemetry.Telemetry.__name__)
"""
    assert run_at_home(tmp_path, code).strip() == "Telemetry"


def test_nothing_else_in_the_package_imports_a_back_end_that_reports():
    for path in PACKAGE.rglob("*.py"):
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.partition(".")[0])
        allowed = set(BACKENDS) if path == PACKAGE / "engines" / "runtimes.py" else set()
        assert imported & set(BACKENDS) == allowed, path.relative_to(PACKAGE)
