"""Progress on a terminal and on none."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

import edgekd.cli.progress as progress


@pytest.fixture
def shown(monkeypatch, caplog):
    """Shows the progress of steps, each begun and finished; gives what was written."""
    caplog.set_level("INFO", logger="edgekd")

    def show(steps, terminal, reports=(0, 4)):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100, height=50)
        monkeypatch.setattr(progress, "notes", console)
        with progress.show_progress() as update:
            for step in steps:
                for done in reports:
                    update(step, done, 4)
        return console.file.getvalue()

    return show


def test_a_terminal_shows_the_latest_bars_alone(shown):
    steps = [f"step {number}" for number in range(30)]
    last_frame = shown(steps, terminal=True).rpartition("\x1b[2K")[2]
    assert [line.split(" \x1b")[0] for line in last_frame.splitlines() if "step" in line] == steps[-1 - progress.BARS :]


def test_without_a_terminal_each_step_is_a_line(shown):
    assert shown(["one", "two"], terminal=False).splitlines() == ["one: 4 of 4", "two: 4 of 4"]


def test_the_time_left_follows_from_what_was_done_since_the_first_report(shown, monkeypatch):
    clock = iter((100.0, 110.0, 120.0))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    lines = shown(["resumed"], terminal=False, reports=(2, 3, 4)).splitlines()
    assert lines == ["resumed: 2 of 4", "resumed: 3 of 4, 10 s left", "resumed: 4 of 4"]
