"""Answers of the page that report an error: one shape, and one plain sentence with what to do."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse


class Refusal(HTTPException):
    """A refusal that the front end has in the reader's language.

    Args:
        code: Status of HTTP.
        text: What happened and what to do, in English.
        key: Of the same text under "users.error" in the front end's texts, such as "wrong_password".
        headers: Of the answer.
        values: What stands in the text.
    """

    def __init__(
        self, code: int, text: str, key: str, headers: dict[str, str] | None = None, **values: str | int
    ) -> None:
        super().__init__(code, text, headers)
        self.key, self.values = key, values


def refusal(code: int, text: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """An answer that reports an error.

    Args:
        code: Status of HTTP.
        text: What happened and what to do, in one line.
        headers: Of the answer.
        more: Other facts about it.
    """
    line = " ".join(text.split())
    return JSONResponse({"error": {"code": code, "text": line, **more}}, status_code=code, headers=headers)


def told(error: Exception) -> dict[str, Any]:
    """What the front end needs to say an error in the reader's language; {} where it has no words for it.

    Args:
        error: With `key` and `values`, as `Refusal` has them, or any other.
    """
    key = getattr(error, "key", None)
    return {"key": key, "values": getattr(error, "values", {})} if isinstance(key, str) else {}
