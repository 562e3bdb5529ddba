"""Who may import whom, read from the source of every module; and what the station's modules pull in when imported."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekd

PACKAGE = Path(edgekd.__file__).parent
ROOT_MODULES = {"edgekd", *(f"edgekd.{path.stem}" for path in PACKAGE.glob("*.py") if path.stem != "__init__")}
EVERYTHING = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

# Of each subpackage: which others it may import, besides itself and the modules at the root.
MAY_IMPORT = {
    "cli": EVERYTHING,
    "data": set(),
    "engines": set(),
    "graph": {"models", "engines"},
    "metrics": set(),
    "models": set(),
    "profiling": {"engines", "data", "runner", "quantization.drift"},
    "quantization": {"engines", "data", "metrics"},
    "reports": {"data", "engines", "metrics", "profiling", "runner"},
    "runner": {"engines", "data", "reports.heatmap"},
    "training": {"models", "data"},
}
MODELS_FROM_THE_ROOT = {"edgekd", "edgekd.errors"}
WITHOUT_TORCH = (
    "engines",
    "runner",
    "profiling",
    "data",
    "metrics",
    "reports",
    "artifact.py",
    "result.py",
    "recipe.py",
    "triton.py",
    "triton_config.py",
)
HEAVY = {"torch", "onnx", "onnxsim", "safetensors", "onnxscript"}


def modules(folder: str) -> list[Path]:
    """The source files of a subpackage, or a module at the root."""
    path = PACKAGE / folder
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            for alias in node.names:  # `from edgekd import x` may name a module.
                is_module = (PACKAGE.parent / node.module.replace(".", "/") / f"{alias.name}.py").is_file()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def is_within(module: str, allowed: str) -> bool:
    return module == f"edgekd.{allowed}" or module.startswith(f"edgekd.{allowed}.")


def test_every_subpackage_has_a_rule():
    assert {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))} <= set(MAY_IMPORT)


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_subpackage_imports_only_what_it_may(folder):
    from_the_root = MODELS_FROM_THE_ROOT if folder == "models" else ROOT_MODULES
    for path in modules(folder):
        for module in imports(path):
            if module.partition(".")[0] != "edgekd" or module in from_the_root or is_within(module, folder):
                continue
            named = f"{path.relative_to(PACKAGE)} imports {module}"
            assert any(is_within(module, allowed) for allowed in MAY_IMPORT[folder]), named


def test_modules_at_the_root_import_only_each_other():
    for path in PACKAGE.glob("*.py"):
        ours = {module for module in imports(path) if module.partition(".")[0] == "edgekd"}
        assert ours <= ROOT_MODULES, path.name


@pytest.mark.parametrize("folder", WITHOUT_TORCH)
def test_what_a_station_runs_imports_neither_torch_nor_onnx(folder):
    assert modules(folder)
    for path in modules(folder):
        heavy = {module.partition(".")[0] for module in imports(path)} & HEAVY
        assert not heavy, f"{path.relative_to(PACKAGE)} imports {heavy}"


def test_the_reader_of_imports_sees_those_inside_functions(tmp_path):
    (tmp_path / "m.py").write_text(
        "import a.b\ndef f():\n    from edgekd import errors\n    from torch.nn import Linear\n"
    )
    assert list(imports(tmp_path / "m.py")) == ["a.b", "edgekd.errors", "torch.nn"]


def test_importing_what_a_station_runs_pulls_in_neither_torch_nor_onnx():
    code = (
        "import edgekd.runner, edgekd.runner.sinks, edgekd.engines, edgekd.profiling.bench, edgekd.cli.inspect, "
        "edgekd.cli.build, sys\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"
