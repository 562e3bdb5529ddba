"""Functions of the page's scripts, run by node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import edgekd.station.page

STATIC = Path(edgekd.station.page.__file__).parent / "static"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here to run scripts with")


# What the page's texts need of a browser.
BROWSER = """
    import {readFile} from "node:fs/promises";
    globalThis.addEventListener = () => {};
    globalThis.setInterval = () => {};
    globalThis.document = {documentElement: {}};
    globalThis.localStorage = {getItem: () => LANGUAGE};
    Object.defineProperty(globalThis, "navigator", {value: {languages: [LANGUAGE]}});
    globalThis.fetch = async (url) => ({ok: true, json: async () => JSON.parse(await readFile(url))});
"""


def computed_in(language: str, path: str, expression: str, **values: Any) -> Any:
    """What an expression is on a page in some language; the rest as in `computed`."""
    return _run(f"const LANGUAGE = {json.dumps(language)};{BROWSER}", path, expression, values)


def computed(path: str, expression: str, **values: Any) -> Any:
    """What an expression is.

    Args:
        path: Of the script below `static`; the expression knows it as `script`.
        expression: In JavaScript.
        values: What the expression knows by name.
    """
    return _run("", path, expression, values)


def _run(before: str, path: str, expression: str, values: dict[str, Any]) -> Any:
    code = f"""
        {before}
        const script = await import({json.dumps((STATIC / path).as_uri())});
        const values = {json.dumps(values)};
        const answer = await (({{{", ".join(values)}}}) => {expression})(values);
        process.stdout.write(JSON.stringify(answer));
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(told.stdout)
