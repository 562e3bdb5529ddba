"""A benchmark on a real Ray of two nodes on this machine, one of which is lost half-way."""

import os
import shutil
import threading
import time
from functools import partial

import pytest

from edgekd.workflows.benchmark import benchmark

SECONDS = 300  # Until the second node has begun to train.
TIMED = ("latency_ms", "throughput_fps", "peak_share", "backend")  # Not the same twice.

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_looks")]


@pytest.fixture
def dataset(category, tmp_path):
    for name in ("back", "front", "side"):
        shutil.copytree(category, tmp_path / "cells" / name)
    return tmp_path / "cells"


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=options)
    yield started
    started.shutdown()


def accuracy(result):
    return [{name: value for name, value in row.items() if name not in TIMED} for row in result.rows]


def test_one_node_two_nodes_and_two_of_which_one_is_lost_make_the_same_table(dataset, cluster, tmp_path, tiny_teacher):
    run = partial(
        benchmark,
        "hkt",
        data=dataset,
        precision="fp32",
        duration=0.1,
        iterations=30,
        size=64,
        batch=2,
        teacher=tiny_teacher,
        device="cpu",
    )
    one = run(out=tmp_path / "one", ray=cluster.address)
    assert [row["category"] for row in one.rows] == ["back", "front", "side", "mean of 3"]
    second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)

    unfinished = []

    def lose():
        end = time.monotonic() + SECONDS
        while len(list((tmp_path / "two").glob("*/hkt/recipe.json"))) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        unfinished.append(not list((tmp_path / "two").glob("*/hkt/*.evaluation.json")))

    losing = threading.Thread(target=lose)
    losing.start()
    two = run(out=tmp_path / "two", ray=cluster.address)
    losing.join()
    assert unfinished == [True]
    assert accuracy(two) == accuracy(one)
    assert (tmp_path / "two" / "benchmark.md").is_file()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
