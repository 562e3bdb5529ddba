"""`edgekd.bench` as a function: what it takes, what it gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError
from edgekd.workflows.bench import bench

pytestmark = pytest.mark.usefixtures("short_looks")


def test_figures_are_attributes_and_progress_names_the_phases(exported: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    page = tmp_path / "page.html"
    result = bench(
        str(exported.parent),
        batch=1,
        duration=0.1,
        backend="openvino",
        threads=1,
        readers=3,
        html=str(page),
        progress=lambda step, done, total=None, loss=None: calls.append((step, done, total)),
    )
    assert ("measuring latency", 0, 1) in calls
    assert calls[-1] == ("measuring layers", 1, 1)
    assert 0 < result.latency_ms["inference"]["median"] <= result.latency_ms["end_to_end"]["median"]
    assert list(result.throughput_fps) == ["1"]
    assert result.measured["readers"] == 3
    assert result.measured["images"] == "8 generated, of 64 x 64 pixels"
    assert result.engine["threads"] == result.device["threads"] == 1
    assert result.peak_share is not None
    assert result.layers[0]["time_ms"] == max(layer["time_ms"] for layer in result.layers)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    assert result.engine["sha256"] in page.read_text()


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [([1, 2], "takes batches of 1, got 2: export with --batch 2"), (0, "must be a positive integer, got 0")],
)
def test_a_batch_that_the_engine_does_not_take_is_refused_before_measuring(
    exported: Path, batch: int | list[int], complaint: str
) -> None:
    phases: list[str] = []
    with pytest.raises(EdgekdError, match=complaint):
        bench(exported, batch=batch, backend="openvino", progress=lambda step, *_: phases.append(step))
    assert phases == []
