"""edgekd users add, list, change and remove: who may log in to a station's page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd.cli.options import JsonFile
from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.station.page.users import Users

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Add, list, change and remove the users who may log in to a station's page.",
)

Data = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Data folder of the station, as its configuration names it; the station may be running.",
        show_default=False,
    ),
]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.", show_default=False)]
RoleName = Literal["operator", "supervisor", "engineer", "admin"]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File of mode 0600 that holds the password. Default: it is asked for.",
        show_default=False,
    ),
]


@app.command()
def add(
    name: UserName,
    role: Annotated[
        RoleName, typer.Option(help="Role of the user; an admin only looks after users.", show_default=False)
    ],
    data: Data,
    password_file: PasswordFile = None,
) -> None:
    """Add a user: with a password of at least 12 characters, or for an operator a PIN of at least 6 digits."""
    from pydantic import TypeAdapter, ValidationError

    from edgekd.station.page.passwords import require_good
    from edgekd.station.page.roles import Role
    from edgekd.station.page.users import FILE
    from edgekd.station.recipes import Name

    try:
        TypeAdapter[str](Name).validate_python(name)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise EdgekdError(f"a user's name {problem}, got {name!r}") from None
    _require_folder(data)
    password = _password(password_file)

    def run(trial: bool) -> None:
        if trial and not (data / FILE).exists():  # A trial writes nothing, not even an empty file.
            require_good(password, Role(role), name)
            return
        with _users(data, new=True) as users:
            users.add(name, Role(role), password, trial=trial)

    _make(run, data, "add user", name, "", role)
    _print(f"added {name}, {role}")


@app.command("list")
def list_(data: Data, json: JsonFile = None) -> None:
    """List the users and their roles, and show who is disabled."""
    from edgekd.cli.output import print_table, write_json_to

    with _users(data) as users:
        everybody = users.all()
    rows = [{"name": each.name, "role": each.role.value, "disabled": each.disabled} for each in everybody]
    write_json_to(json, rows)
    if json != Path("-"):
        table = [(each.name, each.role.value, "disabled" if each.disabled else "") for each in everybody]
        print_table("users", ("name", "role", ""), table, text_columns=3)


@app.command()
def change(
    name: UserName,
    data: Data,
    role: Annotated[RoleName | None, typer.Option(help="The new role.", show_default=False)] = None,
    disabled: Annotated[
        bool | None,
        typer.Option("--disable/--enable", help="Refuse the user's logins, or allow them again.", show_default=False),
    ] = None,
    new_password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_file: PasswordFile = None,
) -> None:
    """Change a user's role or password, or disable the user. This ends the user's sessions."""
    from edgekd.station.page.roles import Role

    news: list[str] = [role] if role else []
    news += [] if disabled is None else ["disabled" if disabled else "enabled"]
    news += ["new password"] if new_password or password_file else []
    if not news:
        raise EdgekdError("name what to change: --role, --password, --password-file, --disable or --enable")
    with _users(data) as users:
        account = users.find(name)
        password = _password(password_file) if account and "new password" in news else None

        def run(trial: bool) -> None:
            new_role = None if role is None else Role(role)
            users.change(name, role=new_role, password=password, disabled=disabled, trial=trial)

        _make(run, data, "change user", name, account.role.value if account else "", ", ".join(news))
    _print(f"changed {name}: {', '.join(news)}")


@app.command()
def remove(name: UserName, data: Data) -> None:
    """Remove a user; what is on record under the name stays."""
    with _users(data) as users:
        account = users.find(name)

        def run(trial: bool) -> None:
            users.remove(name, trial=trial)

        _make(run, data, "remove user", name, account.role.value if account else "", "")
    _print(f"removed {name}")


@contextlib.contextmanager
def _users(data: Path, new: bool = False) -> Iterator[Users]:
    """The users of a station; `new` for the first of them too."""
    from edgekd.station.page.users import FILE, Users

    _require_folder(data)
    if not new and not (data / FILE).exists():
        raise EdgekdError(f"{data} has no users yet: add one with 'edgekd users add'")
    with contextlib.closing(Users(data / FILE)) as users:
        yield users


def _require_folder(data: Path) -> None:
    if not data.is_dir():
        raise EdgekdError(f"there is no folder {data}: name 'data' of the station's configuration")


def _password(path: Path | None) -> str:
    from edgekd.station.line.secret_files import read_secret

    if path is not None:
        return read_secret(path, "--password-file")
    asked: str = typer.prompt("Password or PIN", hide_input=True, confirmation_prompt=True)
    return asked


def _make(run: Callable[[bool], None], data: Path, action: str, name: str, old: str, new: str) -> None:
    """Makes a change, which is in the audit trail before it is made, once there is one."""
    import getpass

    from edgekd.run_folder import VERDICTS_FILE
    from edgekd.station.record.opening import note_change

    run(True)
    if (data / VERDICTS_FILE).is_file():
        note_change(data, getpass.getuser(), "", "command line", action, name, old, new, "")
    run(False)


def _print(text: str) -> None:
    from edgekd.cli.output import answer

    answer.print(text, soft_wrap=True)
