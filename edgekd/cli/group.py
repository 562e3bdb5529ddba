"""The group of commands: each is imported when it runs, and what goes wrong becomes one line and an exit code."""

from __future__ import annotations

import errno
import functools
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from edgekd.cli.signals import ending_signals
from edgekd.cli.streams import ReaderLeftError, printed_streams
from edgekd.cli.text import one_line
from edgekd.errors import PACKAGE_EXTRAS, EdgekdError, MachineError, missing_package, unknown_name

COMMANDS = {
    "models": "List the systems: parameters and MACs beside the papers' figures.",
    "papers": "Show the papers' tables and their misprints.",
    "teachers": "List, import, fetch and check teachers.",
    "distill": "Distill a teacher from an ImageNet backbone and any images.",
    "train": "Train a system on good images.",
    "choose": "Try the systems on good images, and name the run to take.",
    "export": "Export a run, or an untrained system, to an .onnx detector.",
    "build": "Build an engine for TensorRT or OpenVINO.",
    "drift": "Compare every exported precision with the trained network.",
    "threshold": "Set the threshold from good images of the line, and see what it promises.",
    "bench": "Measure latency, throughput and share of the device's peak.",
    "evaluate": "Measure accuracy on a labelled test set.",
    "benchmark": "Train, evaluate and time systems on a whole dataset.",
    "inspect": "Run a detector on a folder, a video or a camera.",
    "log": "Show what a line did: verdicts and yield by hour, times, drift, the last NG.",
    "recipes": "Make, list, release, retire and bring back a station's recipes.",
    "station": "Run a station beside the line: trigger, verdict, PLC, record, page.",
    "users": "Add, list, change and remove who may log in to a station's page.",
    "sign": "Sign an artifact, so that a station refuses any other.",
    "doctor": "Show what this machine has and which back ends work.",
    "demo": "Go the whole way on real images, in minutes.",
}
OPTIONAL_VALUES = {"--ray": "local"}  # Options that may stand without a value, and what they mean then.
GLOBAL_FLAGS = {"--debug", "-v", "--verbose", "-q", "--quiet"}
FAULT_OF_OURS, INTERRUPTED = 4, 130
FAILING_DISK = (errno.ENOSPC, errno.EIO, errno.EROFS)


class CommandGroup(TyperGroup):
    """All commands by name. A module of `edgekd.cli` is imported when its command is asked for, not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgekd.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        for one in (command, *getattr(command, "commands", {}).values()):
            one.help = _unwrapped(one.help or "")
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *other: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Runs a command.

        Args:
            args: The words of the command line after the program's name; those of the process by default.
            other, more: As typer's.
            standalone_mode: Whether to end the process with the exit code.

        Returns:
            The exit code: 0 done, 1 done and the answer is no, 2 the user's input, 3 the machine lacks something,
            4 a fault of ours; 129, 130, 143 interrupted by SIGHUP, SIGINT, SIGTERM; 141 the reader of what it prints
            has left, and it had nothing else to do.
        """
        words = with_optional_values(global_flags_first(sys.argv[1:] if args is None else args))
        more |= {"prog_name": "edgekd", "standalone_mode": False}
        code = exit_code_of(functools.partial(super().main, words, *other, **more), words)
        if standalone_mode:
            sys.exit(code)
        return code


def _unwrapped(text: str) -> str:
    """A docstring with each paragraph on one line, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def global_flags_first(words: Sequence[str]) -> list[str]:
    """The words with --debug, -v and -q in front, where the group reads them; they may stand anywhere on the line."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word for word in words[:end] if word in GLOBAL_FLAGS]
    return flags + [word for word in words[:end] if word not in GLOBAL_FLAGS] + list(words[end:])


def with_optional_values(words: Sequence[str]) -> list[str]:
    """The words with the value of those options that stand without it: typer knows no optional values."""
    end = words.index("--") if "--" in words else len(words)
    completed: list[str] = []
    for place, word in enumerate(words):
        completed.append(word)
        bare = place + 1 >= end or words[place + 1].startswith("-")
        if place < end and word in OPTIONAL_VALUES and bare:
            completed.append(OPTIONAL_VALUES[word])
    return completed


def exit_code_of(run: Callable[[], Any], words: Sequence[str]) -> int:
    """Runs a command and turns what goes wrong into one line on stderr.

    Args:
        run: Runs it, and returns the exit code, or None for 0.
        words: The command line, for messages.
    """
    debug = "--debug" in words
    with printed_streams() as output, ending_signals() as ending:
        failure: BaseException | None = None
        code: Any = 0
        try:
            code = run()
            output.require_written()
        except KeyboardInterrupt as interruption:
            code, failure = INTERRUPTED, interruption
        except SystemExit as ended:  # Typer's, for any pipe that broke.
            code, failure = ended.code, ended.__context__
        except Exception as error:
            failure = error
        ending.over = True
        # Typer turns Ctrl-C into a code, and what is stopped half way may report its end as any error.
        if code == INTERRUPTED or ending.received is not None:
            return _fail(ending.message, ending.exit_code, failure if debug else None)
        if failure is not None:
            return _failed(failure, next((word for word in words if word in COMMANDS), ""), debug)
        return code if isinstance(code, int) else 0


def _failed(error: BaseException, command: str, debug: bool) -> int:
    """Prints what a command failed with, in one line, and returns the exit code."""
    shown = error if debug else None
    if isinstance(error, ReaderLeftError):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return _fail("interrupted", INTERRUPTED, shown)
    if isinstance(error, typer.TyperException):
        return _usage_error(error, command, shown)
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGE_EXTRAS:
        error = missing_package(error.name, f"edgekd {command}")
    if isinstance(error, EdgekdError):
        return _fail(str(error), error.exit_code, shown)
    if isinstance(error, OSError) and error.filename is not None:  # A name that is too long, a folder that is shut.
        code = MachineError.exit_code if error.errno in FAILING_DISK else EdgekdError.exit_code
        return _fail(f"cannot use {error.filename}: {error.strerror}", code, shown)
    return _fault_of_ours(error, shown)


def _usage_error(error: typer.TyperException, command: str, shown: BaseException | None) -> int:
    message = error.format_message().replace("Value error, ", "").strip().rstrip(".")
    if not message:  # The command without arguments, whose help was printed.
        return EdgekdError.exit_code
    context = getattr(error, "ctx", None)  # Of the command whose options are wrong, such as `edgekd users add`.
    path = f"edgekd {command}".rstrip() if context is None else context.command_path
    see = " See" if message.endswith("?") else "; see"
    return _fail(f"{message[0].lower()}{message[1:]}{see} '{path} --help'", EdgekdError.exit_code, shown)


def _fault_of_ours(error: BaseException, shown: BaseException | None) -> int:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    advice = "please report it with the output of the same command and --debug (SECURITY.md if it is a weakness)"
    return _fail(f"internal error, {what}; this is a fault of edgekd, {advice}", FAULT_OF_OURS, shown)


def _fail(message: str, code: int, shown: BaseException | None) -> int:
    """Prints one line, and with --debug where the error comes from."""
    if shown is not None:
        logging.getLogger("edgekd").error("where this error comes from:", exc_info=shown)
    print(f"edgekd: {one_line(message)}", file=sys.stderr)
    return code
