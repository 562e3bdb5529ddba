"""Passwords and PINs: what is accepted, and how they are kept."""

from __future__ import annotations

import itertools

from edgekd.errors import EdgekdError, missing_package
from edgekd.station.page.roles import Role

try:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError
except ModuleNotFoundError as error:
    raise missing_package("argon2-cffi", "the page's login") from error

FEWEST, FEWEST_DIGITS, MOST = 12, 6, 256
FEWEST_DIFFERENT = 5  # Characters; "aaaaaaaaaaaa" is long, and the first that is guessed.
# One thread and 19 MiB, as OWASP's second choice has it: a login must not take cores from the line.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class PasswordError(EdgekdError):
    """A password that is too simple.

    Args:
        text: Why, in English.
        key: Of the same text under "users.error" in the front end's texts.
        values: What stands in it.
    """

    def __init__(self, text: str, key: str, **values: int) -> None:
        super().__init__(text)
        self.key, self.values = key, values


def require_good(password: str, role: Role, name: str = "") -> None:
    """Refuses a new password that is too simple. Operators, who log in with gloves on, may have a PIN.

    Args:
        password: In plain text.
        role: Of its user.
        name: Of its user.

    Raises:
        PasswordError: It is.
    """
    if len(password) > MOST:
        raise PasswordError(f"the password must have at most {MOST} characters", "password_long", most=MOST)
    if role is Role.OPERATOR and password.isascii() and password.isdigit():
        _require_good_pin(password)
        return
    if len(password) < FEWEST:
        text = f"the password must have at least {FEWEST} characters"
        if role is Role.OPERATOR:
            text += f", or be a PIN of at least {FEWEST_DIGITS} digits"
            raise PasswordError(text, "password_or_pin_short", fewest=FEWEST, digits=FEWEST_DIGITS)
        raise PasswordError(text, "password_short", fewest=FEWEST)
    if len(set(password.lower())) < FEWEST_DIFFERENT:
        text = f"the password must have at least {FEWEST_DIFFERENT} different characters"
        raise PasswordError(text, "password_simple", fewest=FEWEST_DIFFERENT)
    if name and name.lower() in password.lower():
        raise PasswordError("the password must not contain the user's name", "password_name")


def _require_good_pin(pin: str) -> None:
    if len(pin) < FEWEST_DIGITS:
        raise PasswordError(f"the PIN must have at least {FEWEST_DIGITS} digits", "pin_short", digits=FEWEST_DIGITS)
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    if len(steps) == 1:  # 000000, 123456, 654321, 135791.
        raise PasswordError("the PIN must not be one digit repeated, or a row of digits", "pin_simple")


def hashed(password: str) -> str:
    """What is kept of a password: an argon2id hash with its own salt; takes some 30 ms.

    Args:
        password: In plain text.
    """
    return _HASHER.hash(password)


def matches(password: str, kept: str) -> bool:
    """Whether it is the password of which a hash is kept; takes some 30 ms.

    Args:
        password: In plain text.
        kept: As `hashed` gave it.
    """
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
