"""What the reports share: each is one self-contained HTML file, made from a template and a common style."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from edgekd.artifact import require_other_file, require_writable, write_beside


class Tile(NamedTuple):
    """A headline figure."""

    label: str
    figure: str
    detail: str


def require_report(html: str | Path | None, artifact: Path) -> Path | None:
    """The file of a report of a measurement, refused before minutes of measuring where it could not be written.

    Args:
        html: The file; None for no report.
        artifact: What is measured; it must not be written over.

    Raises:
        EdgekdError: The file cannot be written, or belongs to the artifact.
    """
    if html is None:
        return None
    path = Path(html)
    require_writable(path)
    require_other_file(path, artifact)
    return path


def render_page(template: str, filters: Mapping[str, Callable[..., str]], **content: Any) -> str:
    """Renders a page from its template; all text in it is escaped.

    Args:
        template: Name of a file in templates.
        filters: Functions that format figures, by the template's names for them.
        content: The template's variables.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= filters
    return str(environment.get_template(template).render(**content))


def write_page(path: Path, page: str) -> None:
    """Writes a page completely or not at all.

    Args:
        path: The file to write; its folder is made.
        page: HTML.

    Raises:
        MachineError: The disk is full.
    """
    with write_beside(path) as part:
        # A file name that is not UTF-8 must not prevent the report.
        part.write_text(page, encoding="utf-8", errors="replace")
