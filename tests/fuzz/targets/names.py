"""Names of files and folders: of any bytes, long, with line feeds and escape sequences; and layouts of folders."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tests.fuzz.case import Case, Target, WrongAnswerError
from tests.fuzz.mutations import Draw
from tests.fuzz.targets.typed_files import IMAGE

WORDS = (
    "good",
    "ng",
    "ok",
    "train",
    "test",
    "ground_truth",
    "masks",
    "Data",
    "Images",
    "a",
    "crack",
    "不良",
    "i.O.",
    "not",
)
ODD = (
    "\n",
    "\r",
    "\x1b[2J",
    "\x07",
    "\udce4",
    "\u202e",
    "é",
    "e\u0301",
    "한",
    "🦊",
    " ",
    "'",
    '"',
    "$(id)",
    "`",
    "#",
    "%s",
    "-",
)
PIECES = st.lists(st.sampled_from((*WORDS, *ODD)), min_size=1, max_size=4).map("".join)
NAMES = st.one_of(PIECES, st.sampled_from(WORDS), st.sampled_from(("a" * 200, "良" * 70)))


@st.composite
def name_cases(draw: Draw, seeds: Path) -> Case:
    files = {"small.onnx": (seeds / "small.onnx").read_bytes(), "small.json": (seeds / "small.json").read_bytes()}
    for _ in range(draw(st.integers(1, 4))):
        folders = draw(st.lists(NAMES, max_size=2))
        name = draw(NAMES) + draw(st.sampled_from((".png", ".PNG", ".jpg", ".txt")))
        files["/".join(("images", *folders, name))] = IMAGE
    whole = {name: data for name, data in files.items() if len(os.fsencode(name.rpartition("/")[2])) < 255}
    paths = {f"{path}/" for path in whole}
    return Case(
        {
            path: data
            for path, data in whole.items()
            if not any(each.startswith(f"{path}/") for each in paths - {f"{path}/"})
        }
    )


def run_names(values: Mapping[str, Any], folder: Path) -> None:
    """A folder is inspected through the command line, with heat maps and a log, and read as a data set."""
    from typer.testing import CliRunner

    from edgekd.cli.main import app
    from edgekd.data.layouts import find_good_images, read_category
    from edgekd.errors import EdgekdError

    for read in (find_good_images, read_category):
        with contextlib.suppress(
            EdgekdError
        ):  # Its message holds the name as it is; the command line makes it one line.
            read(folder / "images")
    words = ["inspect", "--engine", folder / "small.onnx", "--source", folder / "images", "--out", folder / "out"]
    words += ["--backend", "onnxruntime", "--threads", "1", "--readers", "1", "--heat-maps", "all", "--threshold", "1"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 2, 3):
        raise WrongAnswerError(f"exit code {result.exit_code}: {result.stderr[-300:]}")
    text = result.stdout_bytes + result.stderr_bytes
    if b"\x1b[2J" in text or b"\x07" in text:
        raise WrongAnswerError("an escape sequence in a name reaches the terminal")


COMMANDS = (
    ("inspect", "--engine", "X", "--source", "X"),
    ("export", "X"),
    ("train", "hkt", "--data", "X", "--run", "X"),
    ("train", "hkt", "--data", "X", "--run", "X", "--resume"),
    ("evaluate", "X", "--data", "X"),
    ("threshold", "X", "--good", "X"),
    ("bench", "--engine", "X"),
    ("build", "X", "--backend", "openvino"),
    ("drift", "X"),
    ("teachers", "import", "X"),
    ("inspect", "--engine", "small.onnx", "--source", "images", "--out", "X", "--json", "X"),
)
PATHS = st.one_of(
    NAMES,
    st.sampled_from(("", ".", "/", "\0", "a" * 300, "a/" * 3000, "images", "images/a.png", "small.onnx", "small.json")),
)


@functools.cache
def _import_what_commands_import() -> None:
    """Imports take seconds and hundreds of megabytes, which are the fault of no command."""
    from typer.testing import CliRunner

    from edgekd.cli.main import app

    for words in COMMANDS:
        CliRunner().invoke(app, ["nowhere" if word == "X" else word for word in words])


@st.composite
def command_cases(draw: Draw, seeds: Path) -> Case:
    _import_what_commands_import()
    words = [draw(PATHS) if word == "X" else word for word in draw(st.sampled_from(COMMANDS))]
    assume(words[:3] != ["bench", "--engine", "small.onnx"])  # It would be measured, which takes the time it takes.
    files = {"small.onnx": (seeds / "small.onnx").read_bytes(), "small.json": (seeds / "small.json").read_bytes()}
    return Case(files | {"images/a.png": IMAGE}, {"words": words})


def run_command(values: Mapping[str, Any], folder: Path) -> None:
    """A command with odd paths: none of them is a fault of edgekd."""
    from typer.testing import CliRunner

    from edgekd.cli.main import app

    before = os.getcwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, values["words"])
    finally:
        os.chdir(before)
    if result.exit_code not in (0, 1, 2, 3):
        raise WrongAnswerError(f"{values['words'][0]}: exit code {result.exit_code}: {result.stderr[:100]}")


TARGETS = (
    Target("names", "runner/sinks.py, cli/inspect.py, data/layouts.py", name_cases, run_names, smoke=5),
    Target("commands", "cli/", command_cases, run_command, smoke=20),
)
