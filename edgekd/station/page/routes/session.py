"""Logging in and out, and changing one's own password."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from pydantic import BaseModel, Field

from edgekd.station.page import auditing
from edgekd.station.page.answers import Refusal
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import cookie_name, is_encrypted, needs, not_logged_in
from edgekd.station.page.limits import FREE_TRIES
from edgekd.station.page.passwords import MOST
from edgekd.station.page.roles import Role, User
from edgekd.station.page.sessions import Session
from edgekd.station.page.users import Account

router = APIRouter(prefix="/api", tags=["session"])

Password = Annotated[str, Field(max_length=MOST)]
ThePage = Annotated[Page, Depends(page_of)]
# One at a time: each takes 30 ms of a core and 19 MiB, and a crowd that guesses must not take more.
HASHING = ThreadPoolExecutor(1, "passwords")


class Login(BaseModel):
    """Who somebody is."""

    name: Annotated[str, Field(max_length=64)]
    password: Password


class NewPassword(BaseModel):
    """A user's own password, and the one to have from now on."""

    old: Password
    new: Password


@router.get("/session")
async def session(request: Request, page: ThePage, user: Annotated[User, Depends(needs(Role.ANYONE))]) -> Any:
    """Who is logged in here."""
    return _told(page, request.scope["session"])


@router.post("/login")
async def login(
    body: Login,
    request: Request,
    response: Response,
    tasks: BackgroundTasks,
    page: ThePage,
    user: Annotated[User, Depends(needs(Role.ANYONE))],
) -> Any:
    """Logs somebody in."""
    account = await _verified(page, body.name, body.password, user.address, tasks)
    known = User(account.name, account.role, user.address)
    tasks.add_task(auditing.note_if_possible, page, known, "log in", account.name)
    page.sessions.close(request.cookies.get(cookie_name(request), ""))
    return _opened(page, account, request, response)


@router.post("/logout")
async def logout(
    request: Request, response: Response, page: ThePage, user: Annotated[User, Depends(needs(Role.ANYONE))]
) -> Any:
    """Logs somebody out."""
    page.sessions.close(request.cookies.get(cookie_name(request), ""))
    _set_cookie(request, response, "")
    return _told(page, None)


@router.post("/password")
async def password(
    body: NewPassword,
    request: Request,
    response: Response,
    tasks: BackgroundTasks,
    page: ThePage,
    user: Annotated[User, Depends(needs(Role.ANYONE))],
) -> Any:
    """Changes one's own password; other browsers in which one is logged in are logged out."""
    if not user.name:
        raise not_logged_in()
    account = await _verified(page, user.name, body.old, user.address, tasks)
    loop = asyncio.get_running_loop()
    page.users.change(account.name, password=body.new, trial=True)
    await auditing.note(page, user, "change password", account.name)
    await loop.run_in_executor(HASHING, lambda: page.users.change(account.name, password=body.new))
    changed = page.users.find(account.name)
    if changed is None:  # Somebody removed the user meanwhile.
        raise not_logged_in()
    return _opened(page, changed, request, response)


async def _verified(page: Page, name: str, password: str, address: str, tasks: BackgroundTasks) -> Account:
    """The user who has this password.

    Raises:
        Refusal: 401 where there is none, 429 after too many wrong ones.
    """
    attempts = page.sessions.attempts
    wait_s = math.ceil(attempts.wait_s(name, address))
    if wait_s:
        text = f"Too many wrong passwords: try again in {wait_s} s."
        headers = {"retry-after": str(wait_s)}
        raise Refusal(429, text, "too_many_tries", headers, seconds=wait_s)
    tried = attempts.count(name, address)
    loop = asyncio.get_running_loop()
    account = await loop.run_in_executor(HASHING, page.users.verified, name, password)
    if account is not None:
        attempts.succeeded(name, address)
        return account
    if tried >= FREE_TRIES:
        what = f"{tried} wrong passwords"
        await auditing.note_if_possible(page, User(address=address), "refuse login", name, what)
    raise Refusal(401, "Name or password is wrong.", "wrong_password")


def _opened(page: Page, account: Account, request: Request, response: Response) -> dict[str, Any]:
    token, opened = page.sessions.open(account)
    _set_cookie(request, response, token)
    return _told(page, opened)


def _told(page: Page, opened: Session | None) -> dict[str, Any]:
    """What the front end knows of a session."""
    return {
        "name": opened.name if opened else "",
        "role": (opened.role if opened else Role.ANYONE).value,
        "csrf": opened.csrf if opened else "",
        "idle_minutes": page.configuration.idle_minutes,
        "setup_needed": page.users.is_empty(),
    }


def _set_cookie(request: Request, response: Response, token: str) -> None:
    """Keeps a token until the browser is closed; "" removes it."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=None if token else 0,
        httponly=True,
        samesite="strict",
        secure=is_encrypted(request),
    )
