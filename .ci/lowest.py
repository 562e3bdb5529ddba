"""Prints constraints for pip that hold every dependency at its lower bound in pyproject.toml.

pip fails where the bounds do not fit together, so what `make lowest` tests are the bounds themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def lowest_version(requirement: Requirement) -> str:
    """The version that a requirement starts at: its bound by >= or ==."""
    bounds = [bound.version for bound in requirement.specifier if bound.operator in (">=", "==")]
    if len(bounds) != 1:
        raise SystemExit(f"pyproject.toml: {requirement} must have one lower bound")
    return bounds[0]


def main() -> None:
    """Prints a line for each dependency, those of every extra included."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lines = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(line) for group in lines for line in group]
    dependencies = [requirement for requirement in requirements if requirement.name != project["name"]]
    print("\n".join(sorted({f"{dependency.name}=={lowest_version(dependency)}" for dependency in dependencies})))


if __name__ == "__main__":
    main()
