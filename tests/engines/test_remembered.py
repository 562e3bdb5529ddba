"""What was measured is remembered for its key and its processor, and for no other."""

import json

import pytest

import edgekd.engines.remembered as module
from edgekd.engines.remembered import remembered


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def ask():
    """Asks for a number of streams; gives it, and whether it was measured now."""
    measured = []

    def answer(key="graph 4 threads", value=2):
        before = len(measured)
        found = remembered("streams.json", key, (1, 2, 4), lambda: measured.append(value) or value)
        return found, len(measured) > before

    return answer


def test_a_key_is_measured_once(ask):
    assert ask() == (2, True)
    assert ask(value=4) == (2, False)
    assert ask("graph 2 threads", value=4) == (4, True)


def test_another_processor_is_measured_anew_and_both_are_kept(ask, monkeypatch, folder):
    monkeypatch.setattr(module, "core_kinds", lambda: ["model name\t: A", "flags\t\t: avx2"])
    assert ask() == (2, True)
    monkeypatch.setattr(module, "core_kinds", lambda: ["model name\t: B", "flags\t\t: avx2"])
    assert ask(value=4) == (4, True)
    monkeypatch.setattr(module, "core_kinds", lambda: ["model name\t: A", "flags\t\t: avx2"])
    assert ask(value=1) == (2, False)
    assert len(json.loads((folder / "streams.json").read_text())) == 2
