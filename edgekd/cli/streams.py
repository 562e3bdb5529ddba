"""Standard output and error while a command runs: what cannot be printed is counted, and the work goes on."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from edgekd.errors import EdgekdError, MachineError

READER_LEFT = 141  # As shells report a program that a closed pipe ended: 128 and SIGPIPE.


class ReaderLeftError(EdgekdError):
    """Nobody reads standard output any more, as after `| head`, and there is nothing else to work for."""

    exit_code = READER_LEFT


class PrintedStream(io.TextIOBase):
    """A stream for printing that raises nothing: what cannot be written is counted, what cannot be encoded is escaped.

    Args:
        stream: That it writes to; None where the process was started without one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._waiting = 0  # Lines that were written and not flushed.
        self._errors = getattr(stream, "errors", None)
        self.lost = 0
        self.failure: OSError | None = None
        self._reconfigure("backslashreplace")

    @property
    def reader_left(self) -> bool:
        """Whether its reader has closed it."""
        return self.failure is not None and self.failure.errno == errno.EPIPE

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Writes a text, or counts its lines as lost."""
        self._waiting += text.count("\n")
        if self.reader_left:
            self.lost, self._waiting = self.lost + self._waiting, 0
        else:
            self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, or counts what it holds as lost."""
        if self._try("flush"):
            self._waiting = 0

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._stream is not None and self._stream.isatty())

    def writable(self) -> bool:
        """It always is."""
        return True

    def fileno(self) -> int:
        """Of the stream."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def take_lost(self) -> tuple[int, str]:
        """The lines lost since the last call, and why; the caller reports them."""
        self.flush()
        lost, self.lost = self.lost, 0
        return lost, self._reason()

    def require_reader(self) -> None:
        """Refuses to go on for nobody: for work whose only answer is what it prints.

        Raises:
            ReaderLeftError: The reader has left.
            MachineError: Lines were lost for another reason, such as a full disk.
        """
        if self.reader_left:
            raise ReaderLeftError(self._reason())
        self.require_written()

    def require_written(self) -> None:
        """Refuses to count an answer as given that was lost; one whose reader has left was not wanted.

        Raises:
            MachineError: Lines were lost, such as on a full disk.
        """
        self.flush()
        if self.lost and not self.reader_left:
            raise MachineError(f"cannot write to standard output: {self._reason()}")

    def release(self) -> None:
        """Flushes for the last time; leaves nothing for the interpreter to fail on at exit."""
        self.flush()
        if not self._try("flush"):
            self._discard()
            self._try("flush")
        self._reconfigure(self._errors)

    def _try(self, name: str, *text: str) -> bool:
        if self._stream is None:
            return True
        try:
            getattr(self._stream, name)(*text)
            return True
        except (OSError, ValueError) as error:  # ValueError: it was closed.
            self.failure = error if isinstance(error, OSError) else OSError(errno.EBADF, "it is closed")
            self.lost, self._waiting = self.lost + self._waiting, 0
            if self.reader_left:
                self._discard()
            return False

    def _discard(self) -> None:
        """Lets what the stream still holds, and all that follows, vanish: another write would fail again."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def _reason(self) -> str:
        if self.reader_left:
            return "the reader of standard output has left"
        return "" if self.failure is None else self.failure.strerror or str(self.failure)

    def _reconfigure(self, errors: str | None) -> None:
        if errors is not None and isinstance(self._stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                self._stream.reconfigure(errors=errors)


@contextlib.contextmanager
def printed_streams() -> Iterator[PrintedStream]:
    """Replaces standard output and error by streams that raise nothing, for a block.

    Yields:
        Standard output.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_descriptors()
    before = sys.stdout, sys.stderr
    output, errors = PrintedStream(sys.stdout), PrintedStream(sys.stderr)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
        output.release()
        errors.release()


def standard_output() -> PrintedStream:
    """Standard output, as a command prints to it; outside of a command one that counts nothing."""
    stream: Any = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # A progress bar may have taken its place.
    return stream if isinstance(stream, PrintedStream) else PrintedStream(None)


def _open_descriptors() -> None:
    """Opens the descriptors that the process was started without: a file would get one, and what libraries print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
