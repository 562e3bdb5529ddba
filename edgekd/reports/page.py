"""What the reports share: each is one HTML file of a template, with one style, that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from edgekd.artifact import write_beside


class Tile(NamedTuple):
    """A figure of the headline."""

    label: str
    figure: str
    detail: str


def render_page(template: str, filters: Mapping[str, Callable[..., str]], **content: Any) -> str:
    """A page from its template; every text in it is escaped.

    Args:
        template: Its file's name in templates.
        filters: How the template writes figures, by the names it has for them.
        content: What the template shows.
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
        path: Where the file shall be; its folder is made.
        page: HTML.

    Raises:
        MachineError: The disk is full.
    """
    with write_beside(path) as part:
        # A file name that is no UTF-8 must not cost the report.
        part.write_text(page, encoding="utf-8", errors="replace")
