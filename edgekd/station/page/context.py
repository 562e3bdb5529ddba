"""What all routes of the page work with, made once when the page starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.requests import HTTPConnection

from edgekd.station.configuration import PageConfiguration
from edgekd.station.page.link import ControlLink
from edgekd.station.record.reading import RecordReader

if TYPE_CHECKING:
    from edgekd.station.page.sessions import Sessions
    from edgekd.station.page.teaching.projects import Projects
    from edgekd.station.page.users import Users


@dataclass(frozen=True)
class Page:
    """What all routes work with.

    Attributes:
        configuration: Of the page.
        data: Folder of the record; the page's own files are in `page` and `teach` in it.
        recipes: Folder of the recipes.
        live: Folder of the newest images of each station; see `edgekd.station.inspector.previews`.
        cameras: Names of each station's cameras.
        link: To control.
        record: The record, read while it is written.
        users: Who may log in.
        sessions: Who is logged in.
        projects: What is being taught.
    """

    configuration: PageConfiguration
    data: Path
    recipes: Path
    live: Path
    cameras: dict[str, tuple[str, ...]]
    link: ControlLink
    record: RecordReader
    users: Users
    sessions: Sessions
    projects: Projects


async def page_of(connection: HTTPConnection) -> Page:
    """The page that serves a request or a websocket; for `Depends`."""
    page: Page = connection.app.state.page
    return page
