"""Who may log in, for admins."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from edgekd.station.page import auditing
from edgekd.station.page.answers import Refusal
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.passwords import MOST
from edgekd.station.page.roles import Role, User
from edgekd.station.page.routes.session import HASHING
from edgekd.station.page.users import Account, LastAdminError, UnknownUserError
from edgekd.station.recipes import Name

router = APIRouter(prefix="/api/users", tags=["users"])

ThePage = Annotated[Page, Depends(page_of)]
Admin = Annotated[User, Depends(needs(Role.ADMIN))]
Password = Annotated[str, Field(max_length=MOST)]
UserRole = Literal["operator", "supervisor", "engineer", "admin"]


class NewUser(BaseModel):
    """Somebody who is to log in."""

    name: Name
    role: UserRole
    password: Password


class Changes(BaseModel):
    """What to change of a user; null leaves it."""

    role: UserRole | None = None
    password: Password | None = None
    disabled: bool | None = None


@router.get("")
async def all_users(page: ThePage, user: Admin) -> Any:
    """Everybody, by name."""
    return {"users": [_told(account) for account in page.users.all()]}


@router.post("", status_code=201)
async def add(body: NewUser, page: ThePage, user: Admin) -> Any:
    """Adds a user."""
    role = Role(body.role)
    page.users.add(body.name, role, body.password, trial=True)
    await auditing.note(page, user, "add user", body.name, new=role.value)
    await _in_thread(lambda: page.users.add(body.name, role, body.password))
    return _told(_found(page, body.name))


@router.patch("/{name}")
async def change(name: Name, body: Changes, page: ThePage, user: Admin) -> Any:
    """Changes a user, who is logged out."""
    before = _found(page, name)
    role = None if body.role is None else Role(body.role)

    def run(trial: bool = False) -> None:
        page.users.change(before.name, role=role, password=body.password, disabled=body.disabled, trial=trial)

    _possible(lambda: run(trial=True))
    new = [role.value] if role else []
    new += [] if body.disabled is None else ["disabled" if body.disabled else "enabled"]
    new += ["new password"] if body.password is not None else []
    old = f"{before.role.value}, {'disabled' if before.disabled else 'enabled'}"
    await auditing.note(page, user, "change user", before.name, old, ", ".join(new))
    await _in_thread(lambda: _possible(run))
    return _told(_found(page, name))


@router.delete("/{name}")
async def remove(name: Name, page: ThePage, user: Admin) -> Any:
    """Removes a user."""
    before = _found(page, name)
    _possible(lambda: page.users.remove(before.name, trial=True))
    await auditing.note(page, user, "remove user", before.name, old=before.role.value)
    _possible(lambda: page.users.remove(before.name))
    return {}


def _found(page: Page, name: str) -> Account:
    account = page.users.find(name)
    if account is None:
        raise HTTPException(404, f"There is no user {name}.")
    return account


def _possible(change: Any) -> None:
    """Runs a change of users; what forbids it gets its status."""
    try:
        change()
    except UnknownUserError as error:
        raise HTTPException(404, str(error)) from error
    except LastAdminError as error:
        raise Refusal(409, str(error), "last_admin") from error


async def _in_thread(work: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(HASHING, work)


def _told(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role.value,
        "disabled": account.disabled,
        "changed_utc_ms": account.changed_utc_ms,
    }
