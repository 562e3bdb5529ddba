"""The entry point: finds the command, and turns every error into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from edgekd import __version__
from edgekd.errors import EdgekdError, missing_package, unknown_name

COMMANDS = {
    "models": "every system: parameters and MACs by part, beside its paper's figures",
    "papers": "the papers' tables, and what is printed wrongly in them",
    "teachers": "list, import, fetch and check the teachers that there are",
    "distill": "make a teacher from an ImageNet backbone and images of anything",
    "train": "train a system on good images",
    "export": "make an .onnx detector of a run, or of an untrained system",
    "build": "make an engine of an .onnx detector, for TensorRT or OpenVINO",
    "drift": "compare what ships, in every precision, with what was trained",
    "bench": "measure a detector: latency, throughput, share of the device's peak",
    "evaluate": "measure a detector's accuracy on a labelled test set",
    "benchmark": "train, evaluate and time systems on a whole dataset, into one table",
    "inspect": "run a detector on a folder, a video or a camera",
    "doctor": "what this machine has, which back ends work here, what to install",
    "demo": "the whole road on real images, in minutes",
}
PACKAGE_EXTRAS = {"torch": "train", "safetensors": "train", "onnx": "train", "onnxsim": "train"}
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse with our one-line errors."""

    def error(self, message: str) -> NoReturn:
        raise EdgekdError(f"{message}; see {self.prog} --help")


class WarningLines(logging.Handler):
    """Shows what the package logs as a warning or worse, one line each, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = " ".join(record.getMessage().split())
            print(f"edgekd: warning: {line}", file=sys.stderr)  # Whatever it is by now: a spinner may have taken it.
        except Exception:  # What goes wrong with a warning must not end the work that it is about.
            self.handleError(record)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: Those of the command line without the program's name; sys.argv's by default.

    Returns:
        The exit code: 0 done, 1 done and the answer is no, 2 the user's input, 3 the machine lacks something.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    _show_warnings()
    try:
        return _run(words)
    except EdgekdError as error:
        return _fail(str(error), error.exit_code, debug)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGE_EXTRAS:
            raise
        lacking = missing_package(error.name, f"edgekd {words[0]}", PACKAGE_EXTRAS[error.name])
        return _fail(str(lacking), lacking.exit_code, debug)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # The reader left; flushing would fail again.
        return 0


def _show_warnings() -> None:
    logger = logging.getLogger("edgekd")
    if not any(isinstance(handler, WarningLines) for handler in logger.handlers):
        logger.addHandler(WarningLines(logging.WARNING))


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"edgekd {__version__}")
        return 0
    return run_command(words)


def run_command(words: Sequence[str]) -> int:
    """Runs a command and lets its errors through.

    Args:
        words: The command's name and its arguments.
    """
    name = words[0]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    command = importlib.import_module(f"edgekd.cli.{name}")
    parser = Parser(prog=f"edgekd {name}", description=command.__doc__)
    command.add_arguments(parser)
    code: int = command.run(parser.parse_args(words[1:]))
    return code


def show_command(*words: object) -> None:
    """Runs a command within another as a user would, and shows it.

    Args:
        words: The command's name and its arguments.
    """
    from edgekd.cli.output import notes

    arguments = [str(word) for word in words]
    notes.rule(f"edgekd {' '.join(arguments)}", align="left")
    run_command(arguments)


def _overview() -> str:
    lines = ["usage: edgekd COMMAND [options]; edgekd COMMAND --help tells more", ""]
    lines += [f"  {name:10}{purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join([*lines, "", "  --debug   shows where an error comes from"])


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    line = " ".join(message.split())
    print(f"edgekd: {line}", file=sys.stderr)
    return code
