"""Tests of what pyproject.toml promises: extras install what messages say, wheel and sdist hold the files they must."""

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import edgekd
from edgekd.errors import PACKAGE_EXTRAS, MachineError, missing_package
from edgekd.training.teachers.catalogue import CATALOGUE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PACKAGE = Path(edgekd.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MADE_BY_MAKE_DOCS = ROOT / "docs" / "reference" / "cli.md"
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {MADE_BY_MAKE_DOCS})]
SOURCES = sorted(PACKAGE.rglob("*.py"))


def packages(lines: list[str]) -> set[str]:
    """The packages of a list of requirements, with those of the extras of edgekd in it."""
    found: set[str] = set()
    for requirement in map(Requirement, lines):
        if requirement.name == "edgekd":
            found |= packages([line for extra in requirement.extras for line in EXTRAS[extra]])
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def calls_of(name: str) -> list[ast.Call]:
    """Every call in the package of a function by its name."""
    nodes = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


@pytest.mark.parametrize("package", sorted(PACKAGE_EXTRAS))
def test_the_error_for_a_missing_package_names_an_extra_that_installs_it(package):
    extra = PACKAGE_EXTRAS[package]
    assert package in packages(EXTRAS[extra])
    assert package not in packages(PROJECT["dependencies"])
    error = missing_package(package, "training")
    assert isinstance(error, MachineError)
    assert str(error) == f"training needs {package}, which is not installed: pip install 'edgekd[{extra}]'"


def test_every_package_that_is_reported_as_missing_has_its_extra():
    named = [call.args[0] for call in calls_of("missing_package")]
    literal = {argument.value for argument in named if isinstance(argument, ast.Constant)}
    assert literal
    assert literal <= set(PACKAGE_EXTRAS)
    of_teachers = {entry.package for entry in CATALOGUE.values() if entry.package is not None}
    assert of_teachers
    assert of_teachers <= set(PACKAGE_EXTRAS)


def test_every_extra_that_is_named_to_a_user_exists():
    places = [*SOURCES, *PAGES, *(path for path in (ROOT / "jetson").iterdir() if path.is_file())]
    named = {
        extra.strip()
        for path in places
        for extras in re.findall(r"(?:edgekd|'\.)\[([a-z, -]+)\]'", path.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert {"train", "tensorrt", "tensorrt-rtx"} <= named
    assert named <= set(EXTRAS)


@pytest.mark.parametrize("extra", ["tensorrt", "tensorrt-rtx"])
def test_an_extra_for_a_gpu_brings_its_back_end_and_what_speaks_to_the_driver(extra):
    assert {extra, "cuda-bindings"} <= packages(EXTRAS[extra])


def test_every_dependency_has_a_lower_bound_that_make_lowest_can_install():
    printed = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], check=True, capture_output=True, text=True)
    lowest = dict(line.split("==") for line in printed.stdout.splitlines())
    everything = packages(PROJECT["dependencies"]).union(*(packages(lines) for lines in EXTRAS.values()))
    assert set(map(canonicalize_name, lowest)) == everything
    for line in [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]:
        requirement = Requirement(line)
        if requirement.name != "edgekd":
            assert requirement.specifier.contains(lowest[requirement.name]), line


def test_the_citation_names_the_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {edgekd.__version__}\n" in citation


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist of this checkout, and what a wheel holds that is built from the sdist, where there is no git."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", folder, "--target"]
    subprocess.run([*build, "sdist"], check=True, cwd=ROOT, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder)
    source = folder / f"edgekd-{edgekd.__version__}"
    subprocess.run([*build, "wheel"], check=True, cwd=source, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return source, set(archive.namelist())


def test_the_wheel_holds_the_files_that_the_package_reads_and_names(built):
    _, wheel = built
    for folder in ("benchmarks/papers", "docs", "export"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path != MADE_BY_MAKE_DOCS]
        assert files
        assert {f"edgekd/_resources/{path.relative_to(ROOT).as_posix()}" for path in files} <= wheel
    for path in SOURCES:
        for page in re.findall(r"(?:docs|export)/[a-z_/]+\.(?:md|toml)", path.read_text(encoding="utf-8")):
            assert f"edgekd/_resources/{page}" in wheel, f"{path.relative_to(PACKAGE)} names {page}"


def test_the_wheel_holds_the_package_and_no_more(built):
    _, wheel = built
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(ROOT).as_posix() for path in files} <= wheel
    assert {name.partition("/")[0] for name in wheel} == {"edgekd", f"edgekd-{edgekd.__version__}.dist-info"}


def test_the_sdist_holds_every_file_that_its_pages_link_to(built):
    source, _ = built
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            target = (page.parent / link).resolve()
            exists = (source / target.relative_to(ROOT)).exists() or target == MADE_BY_MAKE_DOCS
            assert exists, f"{page.relative_to(ROOT)} links to {link}"
    for name in ("Makefile", "constraints.txt", "jetson/install.sh", "calibration/README.md", "tests/conftest.py"):
        assert (source / name).is_file(), name
