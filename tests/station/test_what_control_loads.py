"""Control answers the PLC whatever a driver does: its process loads neither OpenCV nor an engine."""

import json
import subprocess
import sys
from pathlib import Path

import edgekd.station

PACKAGE = Path(edgekd.station.__file__).parent
# What only the processes of inspector and page load, and what makes recipes.
ELSEWHERE = (
    "edgekd.station.cameras",
    "edgekd.station.inspector",
    "edgekd.station.page",
    "edgekd.station.recipe_making",
)
OF_CONTROL = ("edgekd.station.inspector.client", "edgekd.station.page.server")
FORBIDDEN = ("cv2", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "torch", "onnx", "numpy", "polars", "PIL")
FORBIDDEN += ("fastapi", "starlette", "uvicorn", "websockets", "argon2")


def modules_of_control():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parents[1]).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith(ELSEWHERE) or name in OF_CONTROL:
            found.append(name)
    return found


def test_what_control_imports_holds_neither_opencv_nor_an_engine():
    names = modules_of_control()
    assert len(names) > 8
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = {name.partition(".")[0] for name in json.loads(printed)}
    assert loaded.isdisjoint(FORBIDDEN), loaded & set(FORBIDDEN)
