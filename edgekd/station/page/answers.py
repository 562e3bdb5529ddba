"""Answers of the page that report an error: one shape, and one plain sentence with what to do."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


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
