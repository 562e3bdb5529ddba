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


def computed(path: str, expression: str, **values: Any) -> Any:
    """What an expression is.

    Args:
        path: Of the script below `static`; the expression knows it as `script`.
        expression: In JavaScript.
        values: What the expression knows by name.
    """
    code = f"""
        import * as script from {json.dumps((STATIC / path).as_uri())};
        const values = {json.dumps(values)};
        const answer = (({{{", ".join(values)}}}) => {expression})(values);
        process.stdout.write(JSON.stringify(answer));
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(told.stdout)
