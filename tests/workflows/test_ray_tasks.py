"""Tasks in turn, and on a real Ray of two nodes on this machine, one of which is lost half-way."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError, MachineError
from edgekd.workflows.ray_tasks import check_address, open_workers

STORE = 80 << 20  # Bytes; the least that Ray takes.
SECONDS = 120  # That anything may take.


def doubled(number, progress):
    progress("doubling", number, 2)
    return 2 * number


def refused(number, progress):
    raise EdgekdError(f"{number} does not suit")


def where(name, progress):
    return Path(name).read_text(), os.environ.get("EDGEKD_NOTED"), os.environ["OMP_NUM_THREADS"]


def held_up(task, progress):
    """Notes where it begins, and waits until it may go on."""
    import ray

    folder, name = task
    begun = len(list(folder.glob(f"{name}.begun.*")))
    note = folder / f"{name}.begun.{begun}"
    note.with_suffix(".part").write_text(f"{ray.get_runtime_context().get_node_id()} {os.getpid()}")
    note.with_suffix(".part").rename(note)
    wait_for((folder / "go").exists)
    return name


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.05)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Adds nodes of one core each to a Ray of this machine; gives the address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    cluster.one_more = lambda: cluster.add_node(num_cpus=1, object_store_memory=STORE)
    yield cluster
    cluster.shutdown()


def test_without_ray_tasks_run_in_turn():
    seen = []
    with open_workers(None, "auto") as workers:
        assert (workers.at_once, workers.with_ray) == (1, False)
        results = workers.run(doubled, [0, 1, 2], lambda *step: seen.append(step))
        assert next(results) == (0, 0)
        assert seen == [("doubling", 0, 2)]  # The others have not begun.
        assert list(results) == [(1, 2), (2, 4)]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nohost.invalid:6379", "127.0.0.1:many"])
def test_an_address_where_nothing_listens_is_refused_at_once(address):
    with pytest.raises(MachineError, match=f"nothing answers at --ray {address} "), open_workers(address, "cpu"):
        pass


@pytest.mark.parametrize("address", ["hkt", "", "everywhere"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(EdgekdError, match=f"must be local, auto or the HOST:PORT of a Ray cluster, got '{address}'"):
        check_address(address)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError, match=r"--ray needs ray, which is not installed: pip install 'edgekd\[scale\]'"):
        check_address("local")


def test_nothing_is_reported_to_anyone(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    check_address("local")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_tasks_run_in_the_folder_of_the_caller_and_what_they_raise_is_raised(nodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKD_NOTED", "here")
    (tmp_path / "note.txt").write_text("found")
    seen = []
    with open_workers(nodes.address, "cpu") as workers:
        assert (workers.at_once, workers.with_ray) == (1, True)
        assert list(workers.run(where, ["note.txt"], lambda *step: seen.append(step))) == [(0, ("found", "here", "1"))]
        assert seen == [("1 tasks on Ray", 0, 1), ("1 tasks on Ray", 1, 1)]
        with pytest.raises(EdgekdError, match="7 does not suit"):
            list(workers.run(refused, [7], lambda *step: None))
        with (
            pytest.raises(MachineError, match=r"no machine of Ray .* has a GPU for tasks"),
            open_workers("auto", "cuda"),
        ):
            pass


def test_a_task_whose_node_is_lost_is_run_again_on_another(nodes, tmp_path):
    lost = nodes.one_more()

    def lose():
        wait_for((tmp_path / "a.begun.0").exists)
        wait_for((tmp_path / "b.begun.0").exists)
        places = dict((tmp_path / f"{name}.begun.0").read_text().split() for name in ("a", "b"))
        nodes.remove_node(lost, allow_graceful=False)
        wait_for(lambda: not Path(f"/proc/{places[lost.node_id]}").exists())  # Workers outlive their node for moments.
        (tmp_path / "go").touch()

    losing = threading.Thread(target=lose)
    with open_workers(nodes.address, "cpu") as workers:
        assert workers.at_once == 2
        losing.start()
        results = list(workers.run(held_up, [(tmp_path, "a"), (tmp_path, "b"), (tmp_path, "c")], lambda *step: None))
    losing.join()
    assert sorted(results) == [(0, "a"), (1, "b"), (2, "c")]
    begun = sorted(path.name for path in tmp_path.glob("*.begun.*"))
    assert begun in (
        ["a.begun.0", "a.begun.1", "b.begun.0", "c.begun.0"],
        ["a.begun.0", "b.begun.0", "b.begun.1", "c.begun.0"],
    )
