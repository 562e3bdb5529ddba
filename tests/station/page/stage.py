"""A page without its process: the real application, users, sessions and record, and a control that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.configuration import OneStation, PageConfiguration
from edgekd.station.page.app import create_app
from edgekd.station.page.context import Page
from edgekd.station.page.control import Follower
from edgekd.station.page.limits import Rate
from edgekd.station.page.roles import Role, User
from edgekd.station.page.sessions import Sessions
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.users import FILE, Users
from edgekd.station.page.views import Viewed
from edgekd.station.record.reading import RecordReader
from edgekd.station.snapshot import Snapshot

from ..record.recording import opened

ADDRESS = "127.0.0.1"
URL = f"http://{ADDRESS}:8080"
PASSWORDS = {Role.OPERATOR: "274951"}  # A PIN.
PASSWORD = "correct horse battery staple"
UNLIMITED = Rate(1e6, 1_000_000)
_made: list[Any] = []  # The last page, its limits and its application.


@dataclass
class ScriptedControl:
    """Control as a test wants it: it notes what it is asked, and answers what the test says.

    Attributes:
        views: What each station shows.
        answers: By method: what is answered, an error to raise, or what is called with station, user and arguments.
        asked: What was asked: station, method, user, arguments.
    """

    views: dict[str, dict[str, Any]]
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, User, dict[str, Any]]] = field(default_factory=list)
    followers_: set[Follower] = field(default_factory=set)

    @property
    def stations(self) -> tuple[str, ...]:
        return tuple(self.views)

    def view(self, station: str) -> dict[str, Any]:
        return self.views[station]

    def recent(self, station: str) -> list[dict[str, Any]]:
        self.views[station]
        return []

    @property
    def followers(self) -> int:
        return len(self.followers_)

    async def ask(self, station: str, method: str, user: User, **arguments: Any) -> dict[str, Any]:
        self.views[station]
        self.asked.append((station, method, user, arguments))
        answer = self.answers.get(method, {})
        if isinstance(answer, Exception):
            raise answer
        return answer(station, user, **arguments) if isinstance(answer, Callable) else answer

    def tell(self, station: str, event: dict[str, Any]) -> None:
        """Lets everybody who follows know of something."""
        for follower in tuple(self.followers_):
            follower.put({"station": station, "view": None, "event": event})

    def changes(self) -> Follower:
        follower = Follower(self.followers_)
        self.followers_.add(follower)
        return follower


def make_page(
    tmp_path: Path,
    stations: Mapping[str, dict[str, Any]] | None = None,
    configuration: PageConfiguration | None = None,
    projects: Any = None,
) -> Page:
    """A page with nobody in it and an empty record, where there is none in `tmp_path/data` yet.

    Args:
        tmp_path: For its folders: data, recipes, live.
        stations: What each station shows; one named "line" by default.
        configuration: Of the page.
        projects: What is being taught; those in the data folder by default.
    """
    data, recipes, live = (tmp_path / name for name in ("data", "recipes", "live"))
    recipes.mkdir(exist_ok=True)
    live.mkdir(exist_ok=True)
    if not (data / VERDICTS_FILE).exists():
        opened(data).close()
    views = dict(stations or {"line": Viewed(OneStation(name="line", cameras=("top",)), 0).view(Snapshot("line"))})
    configuration = configuration or PageConfiguration()
    users = Users(data / FILE)
    return Page(
        configuration=configuration,
        data=data,
        recipes=recipes,
        live=live,
        cameras=dict.fromkeys(views, ("top",)),
        link=ScriptedControl(views),
        record=RecordReader(data / VERDICTS_FILE),
        users=users,
        sessions=Sessions(users, 60 * configuration.idle_minutes),
        projects=projects or Projects(data, recipes),
    )


class Browser(TestClient):
    """A browser, whose websockets go to the page too."""

    def websocket_connect(self, url: str, *arguments: Any, **more: Any) -> Any:
        return super().websocket_connect(f"ws{URL.removeprefix('http')}{url}", *arguments, **more)


def password_of(role: Role) -> str:
    """With which `client` users of a role can log in."""
    return PASSWORDS.get(role, PASSWORD)


def app_of(page: Page, **limits: Rate) -> FastAPI:
    """The application of a page, without limits but for those that are given; made once, since it takes a while."""
    if not (_made and _made[0] is page and _made[1] == limits):
        app = create_app(page, **{"reads": UNLIMITED, "changes": UNLIMITED, **limits})
        _made[:] = [page, limits, app]
    return _made[2]


def client(page: Page, role: Role = Role.ANYONE, *, errors: bool = True, **limits: Rate) -> Browser:
    """A browser that is logged in: its requests carry session and token, as the page's own do.

    Args:
        page: As `make_page` made it.
        role: Of its user, who is named like it.
        errors: Whether an error that no handler knows is raised in the test; it is answered with 500 otherwise.
        limits: `reads` and `changes`; none by default.
    """
    app = app_of(page, **limits)
    browser = Browser(
        app, base_url=URL, client=(ADDRESS, 50000), raise_server_exceptions=errors, follow_redirects=False
    )
    if role is not Role.ANYONE:
        if page.users.find(role.value) is None:
            page.users.add(role.value, role, password_of(role))
        account = page.users.find(role.value)
        token, session = page.sessions.open(account)
        browser.cookies.set("edgekd-8080", token)
        browser.headers["X-CSRF-Token"] = session.csrf
    return browser
