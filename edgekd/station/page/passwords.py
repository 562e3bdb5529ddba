"""Passwords and PINs: what is accepted, and how they are kept."""

from __future__ import annotations

import itertools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edgekd.station.page.roles import Role

FEWEST, FEWEST_DIGITS, MOST = 12, 6, 256
FEWEST_DIFFERENT = 5  # Characters; "aaaaaaaaaaaa" is long, and the first that is guessed.
# One thread and 19 MiB, as OWASP's second choice has it: a login must not take cores from the line.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def problem_of(password: str, role: Role, name: str = "") -> str:
    """What is wrong with a new password, in one line; "" where it is good enough.

    Operators, who log in with gloves on, may have a PIN.

    Args:
        password: In plain text.
        role: Of its user.
        name: Of its user.
    """
    if len(password) > MOST:
        return f"the password must have at most {MOST} characters"
    pin = role is Role.OPERATOR and password.isascii() and password.isdigit()
    if pin:
        return _problem_of_pin(password)
    if len(password) < FEWEST:
        or_pin = f", or be a PIN of at least {FEWEST_DIGITS} digits" if role is Role.OPERATOR else ""
        return f"the password must have at least {FEWEST} characters{or_pin}"
    if len(set(password.lower())) < FEWEST_DIFFERENT:
        return f"the password must have at least {FEWEST_DIFFERENT} different characters"
    if name and name.lower() in password.lower():
        return "the password must not contain the user's name"
    return ""


def _problem_of_pin(pin: str) -> str:
    if len(pin) < FEWEST_DIGITS:
        return f"the PIN must have at least {FEWEST_DIGITS} digits"
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    if len(steps) == 1:  # 000000, 123456, 654321, 135791.
        return "the PIN must not be one digit repeated, or a row of digits"
    return ""


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
