"""Messages wait on disk for a receiver that is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edgekd.station.line.outbox import Outbox

from .mosquitto import run


async def _fill(outbox: Outbox, numbers: range, epoch: int = 0) -> None:
    for number in numbers:
        await outbox.append("result", {"n": number}, epoch)


async def _numbers(outbox: Outbox, count: int = 100) -> list[int]:
    return [row.payload["n"] for row in await outbox.oldest(count)]


def test_the_oldest_come_first_and_stay_until_they_are_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        outbox = Outbox(tmp_path / "new" / "box.sqlite")
        await _fill(outbox, range(5), epoch=3)
        first, second = await outbox.oldest(2)
        assert (first.payload, first.topic, first.epoch) == ({"n": 0}, "result", 3)
        await outbox.remove(second.id)
        assert await _numbers(outbox) == [2, 3, 4]
        await outbox.close()

    run(scenario())


def test_what_waits_outlasts_the_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        before = Outbox(tmp_path / "box.sqlite")
        await _fill(before, range(3))
        after = Outbox(tmp_path / "box.sqlite")  # The first one was never closed.
        await _fill(after, range(3, 5))
        assert await _numbers(after) == [0, 1, 2, 3, 4]
        await before.close()
        await after.close()

    run(scenario())


def test_a_full_queue_loses_its_oldest_and_counts_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        outbox = Outbox(tmp_path / "box.sqlite", most=4)
        await _fill(outbox, range(10))
        assert await _numbers(outbox) == [6, 7, 8, 9]
        await outbox.close()
        again = Outbox(tmp_path / "box.sqlite", most=4)
        await again.open()
        assert again.waiting == 4
        assert await _numbers(again) == [6, 7, 8, 9]
        assert again.dropped == 6
        await again.close()

    run(scenario())
    assert [record.getMessage().partition(" is full")[2] for record in caplog.records] == [
        ": of 4 messages the oldest go"
    ]


def test_a_disk_that_fails_is_reported_once_and_the_queue_goes_on_in_memory(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        outbox = Outbox(small_disk / "box.sqlite")
        await _fill(outbox, range(3))
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        await _fill(outbox, range(3, 300))
        waiting = await outbox.oldest(400)
        assert [row.payload["n"] for row in waiting] == list(range(300))
        await outbox.remove(waiting[249].id)
        assert await _numbers(outbox) == list(range(250, 300)), "what was confirmed came again"
        filler.unlink()
        await _fill(outbox, range(300, 302))
        assert await _numbers(outbox) == list(range(250, 302))
        await outbox.close()

    run(scenario())
    assert sum("wait in memory" in record.getMessage() for record in caplog.records) >= 1


def test_a_folder_that_cannot_be_written_loses_nothing_while_the_process_lives(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "file").write_text("")
        outbox = Outbox(tmp_path / "file" / "box.sqlite", most=3)
        await _fill(outbox, range(5))
        assert await _numbers(outbox) == [2, 3, 4]
        assert outbox.dropped == 2
        await outbox.close()

    run(scenario())


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_damaged_queue_is_kept_aside_and_a_new_one_begins(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "box.sqlite"

    async def scenario() -> None:
        before = Outbox(path)
        await _fill(before, range(200))
        await before.close()
        whole = bytearray(path.read_bytes())
        whole[4096:] = b"\xff" * (len(whole) - 4096)
        path.write_bytes(content or bytes(whole))
        after = Outbox(path)
        await _fill(after, range(2))
        assert await _numbers(after) == [0, 1]
        await after.close()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert len(list(tmp_path.glob("box.sqlite.damaged-*"))) == 1
    assert "is damaged" in caplog.text


def test_the_event_loop_never_waits_for_the_disk(tmp_path: Path) -> None:
    """A database that another program holds keeps the queue's thread busy, and nobody else."""

    async def scenario() -> None:
        outbox = Outbox(tmp_path / "box.sqlite")
        await _fill(outbox, range(1))
        other: Any = sqlite3.connect(tmp_path / "box.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        append = asyncio.ensure_future(outbox.append("result", {"n": 1}))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not append.done()
        other.execute("COMMIT")
        await append
        assert await _numbers(outbox) == [0, 1]
        other.close()
        await outbox.close()

    run(scenario())
