"""What cannot be printed: a reader that left, a full device, a name that no terminal should see as it is."""

import contextlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydantic_core
import pytest

import edgekd
from edgekd.cli.logs import LogLines
from edgekd.cli.main import main
from edgekd.cli.output import answer, print_table, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.streams import printed_streams
from edgekd.cli.text import one_line, printable, printable_lines, unicode_content

from .logged import logged_rows

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
NO_READER = "the reader of standard output has left"


@contextlib.contextmanager
def no_reader():
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


def run(monkeypatch, stream, *words):
    """Runs a command that prints to a stream."""
    monkeypatch.setattr(sys, "stdout", stream)
    code = main([str(word) for word in words])
    monkeypatch.undo()
    return code


def inspecting(exported, source, *words):
    common = ["--engine", exported, "--source", source, "--threshold", "1e9", "--backend", "onnxruntime"]
    return ["inspect", *common, *words]


@pytest.mark.parametrize("fault", [pytest.param("full", marks=needs_full), "no reader"])
def test_an_inspection_whose_verdicts_cannot_be_printed_keeps_them_and_counts_the_lines(
    fault, exported, good_folder, tmp_path, monkeypatch, capsys
):
    with FULL.open("w") if fault == "full" else no_reader() as stream:
        assert run(monkeypatch, stream, *inspecting(exported, good_folder, "--out", tmp_path / "out")) == 0
    why = NO_READER if fault == "no reader" else "No space left on device"
    said = capsys.readouterr().err
    assert f"edgekd: warning: lines that could not be printed: 24 ({why})\n" in said
    assert "24 frames: 24 OK, 0 NG, 0 ERROR\n" in said
    assert logged_rows(tmp_path / "out") == 24


def test_an_inspection_that_nobody_reads_and_nothing_keeps_ends_quietly(exported, good_folder, monkeypatch, capsys):
    with no_reader() as stream:
        assert run(monkeypatch, stream, *inspecting(exported, good_folder)) == 141
    assert capsys.readouterr().err == ""


def test_an_inspection_whose_answer_is_its_exit_code_needs_no_reader(exported, good_folder, monkeypatch, capsys):
    with no_reader() as stream:
        assert run(monkeypatch, stream, *inspecting(exported, good_folder, "--fail-on-ng")) == 0
    assert "24 frames: 24 OK" in capsys.readouterr().err


@needs_full
def test_an_answer_that_a_full_device_loses_is_no_success(exported, good_folder, monkeypatch, capsys):
    one = sorted(good_folder.iterdir())[0]
    for words in (inspecting(exported, one), inspecting(exported, one, "--json", "-"), ["--version"]):
        with FULL.open("w") as stream:
            assert run(monkeypatch, stream, *words) == 3, words
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == "edgekd: cannot write to standard output: No space left on device"


def test_a_listing_whose_reader_has_enough_is_a_success(monkeypatch, capsys):
    with no_reader() as stream:
        assert run(monkeypatch, stream, "papers") == 0
    assert capsys.readouterr().err == ""


@needs_full
def test_notes_that_cannot_be_printed_cost_nothing(exported, good_folder, monkeypatch, capsys):
    for open_stream in (no_reader, lambda: FULL.open("w")):
        with open_stream() as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            assert main([str(word) for word in inspecting(exported, good_folder)]) == 0
            monkeypatch.undo()
        assert len(capsys.readouterr().out.splitlines()) == 24


def test_a_process_that_was_started_without_any_stream_runs_and_prints_into_no_file(exported, good_folder, tmp_path):
    words = inspecting(exported, good_folder, "--out", tmp_path / "out")
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "edgekd", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(Path(edgekd.__file__).parents[1])}
    assert subprocess.run(closed, env=environment).returncode == 0
    assert logged_rows(tmp_path / "out") == 24


def test_output_that_cannot_be_flushed_at_the_end_does_not_fail_at_exit():
    code = "import sys; from edgekd.cli.main import main; sys.exit(main(['papers']))"
    environment = os.environ | {"PYTHONPATH": str(Path(edgekd.__file__).parents[1])}
    with no_reader() as stream:
        done = subprocess.run([sys.executable, "-c", code], stdout=stream, stderr=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


NAMES = {
    "bytes.png": ("b_\udce4.png", r"b_\xe4.png"),
    "escape": ("e\x1b[2J\x07.png", r"e\x1b[2J\x07.png"),
    "line feed": ("l\nOK    fine.png", r"l\x0aOK    fine.png"),
    "reversed": ("r\u202egnp.exe.png", r"r\u202egnp.exe.png"),
    "chinese": ("检查.png", "检查.png"),
}


@pytest.fixture
def named(good_folder, tmp_path):
    """A folder of images whose names are hard to print."""
    folder = tmp_path / "named"
    folder.mkdir()
    for name, _ in NAMES.values():
        try:
            shutil.copy(sorted(good_folder.iterdir())[0], folder / name)
        except OSError:
            pytest.skip("this file system does not take such names")
    return folder


def inspected(exported, source, encoding, monkeypatch, *words):
    """What an inspection prints on a console of an encoding."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as stream:
        assert run(monkeypatch, stream, *inspecting(exported, source, *words)) == 0
        stream.flush()
        return raw.getvalue()


def test_names_are_printed_without_what_a_terminal_obeys(exported, named, monkeypatch):
    printed = inspected(exported, named, "utf-8", monkeypatch)
    assert b"\x1b" not in printed
    lines = printed.decode().splitlines()
    assert len(lines) == len(NAMES)
    for _, shown in NAMES.values():
        assert [line for line in lines if line.startswith(f"OK    {shown}  ")]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_name_that_the_console_cannot_encode_costs_its_characters_alone(encoding, exported, named, monkeypatch):
    lines = inspected(exported, named, encoding, monkeypatch).decode(encoding).splitlines()
    assert len(lines) == len(NAMES)
    assert any(r"\u68c0\u67e5.png" in line for line in lines)


def test_json_is_valid_whatever_the_names(exported, named, monkeypatch, tmp_path):
    printed = inspected(exported, named, "ascii", monkeypatch, "--json", "-")
    inspected(exported, named, "utf-8", monkeypatch, "--json", tmp_path / "answer.json")
    for content in (printed, (tmp_path / "answer.json").read_bytes()):
        frames = pydantic_core.from_json(content)["frames"]  # Stricter than Python's: no half characters.
        expected = {name for name, _ in NAMES.values() if name.isprintable() or "\udce4" not in name}
        assert {frame["name"] for frame in frames} == expected | {r"b_\xe4.png"}
        assert all(32 <= byte < 127 or byte == 10 for byte in content)


def test_errors_logs_and_progress_show_names_as_verdicts_do(capsys, monkeypatch):
    def printed():
        return ascii(
            capsys.readouterr().err
        )  # A report of names that are no text would not reach pytest's main process.

    for name, shown in NAMES.values():
        expected = shown.replace(r"\x0a", " ")
        assert main(["bench", "--engine", f"/nowhere/{name}"]) == 2
        assert ascii(f"edgekd: no such artifact: /nowhere/{expected}")[1:-1] in printed()
        LogLines().handle(logging.makeLogRecord({"levelno": logging.WARNING, "msg": f"cannot read {name}"}))
        assert printed() == ascii(f"edgekd: warning: cannot read {expected}\n")
        with printed_streams(), show_progress() as progress:
            progress(name, 1, 1)
        assert printed() == ascii(f"{expected}: done\n")


def test_debug_shows_where_an_error_comes_from_without_what_a_terminal_obeys(capsys):
    assert main(["bench", "--engine", "/nowhere/e\x1b[2J", "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback (most recent call last):\n" in said
    assert "raise ArtifactError" in said
    assert "\x1b" not in said


def test_tables_and_sentences_hold_no_escape_of_a_name(capsys):
    with printed_streams():
        print_table("a\x1b[2J", ("b\x1b[2J",), [("c\x1b[2J",)])
        answer.print("wrote d\x1b[2J")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed.count(r"\x1b[2J") == 4


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_tables_are_drawn_with_what_the_console_can_encode(encoding, monkeypatch):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with printed_streams():
            print_table("title", ("part", "figure"), [("teacher", 1)])
        monkeypatch.undo()
        assert b"| teacher |" in raw.getvalue()
        assert b"\\u" not in raw.getvalue()


def test_what_can_be_printed_stays_as_it_is():
    for text in ("plain.png", "Prüfung ü.png", "検査_部品.png", "é", ""):
        assert printable(text) == one_line(text) == unicode_content(text) == text
    assert one_line("run 'my  folder'\n  again\n") == "run 'my  folder' again"
    assert printable_lines("a\nb\tc\x1b\U000e0001") == "a\nb\\x09c\\x1b\\U000e0001"


def test_json_keeps_all_that_is_unicode(capsys):
    content = {"a\x1b": ["\x7f", ("\ud83d", "\U0001f44d")], "n": 1.5, "none": None}
    write_json_to(Path("-"), content)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a\x1b": ["\x7f", ["\\ud83d", "\U0001f44d"]], "n": 1.5, "none": None}
    assert "\x7f" not in printed
