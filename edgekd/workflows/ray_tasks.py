"""Tasks that train, in turn on this machine, or side by side with Ray on this machine or on a cluster that is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edgekd.errors import EdgekdError, MachineError, missing_package, one_line
from edgekd.progress import Progress, silent

LOCAL, RUNNING = "local", "auto"  # Addresses: Ray is started on this machine; a cluster that this machine belongs to.
CORES = 4  # Of a training on a processor: with more, several trainings beside each other do more than one.
RETRIES = 3  # Of a task whose worker or machine was lost.
OBJECT_STORE = 100 << 20  # Bytes; arguments and results are small, and Ray would take a third of the memory.
SECONDS_TO_ANSWER = 5.0  # That a cluster has.
SECONDS_TO_SAVE = 60  # That interrupted tasks have.

Argument = TypeVar("Argument")
Result = TypeVar("Result")
Task = Callable[[Argument, Progress], Result]


@dataclass(frozen=True)
class Workers:
    """What runs tasks.

    Attributes:
        at_once: Tasks that run side by side.
        with_ray: Whether Ray runs them, perhaps on this machine too while results come.
        run_all: See `run`.
    """

    at_once: int
    with_ray: bool
    run_all: Callable[..., Iterator[tuple[int, Any]]]

    def run(
        self, task: Task[Argument, Result], arguments: Sequence[Argument], progress: Progress
    ) -> Iterator[tuple[int, Result]]:
        """Runs a task with each of some arguments.

        Args:
            task: A function of a module, of an argument and a progress callback; what it began it must be able to
                continue, since it is run again where its worker is lost.
            arguments: Of it; with Ray they are pickled, as the results are.
            progress: Called by the task; with Ray, after each result.

        Yields:
            Index of the argument and result, as results come.

        Raises:
            MachineError: A worker was lost again and again.
            Exception: What the task raises.
        """
        yield from self.run_all(task, arguments, progress)


def check_address(address: str | None) -> None:
    """Refuses what cannot be the address of Ray, before any work.

    Args:
        address: "local", "auto", "HOST:PORT" or "ray://HOST:PORT"; None for tasks in turn, without Ray.

    Raises:
        EdgekdError: It is none of these.
        MachineError: Ray is not installed.
    """
    if address is None:
        return
    if address not in (LOCAL, RUNNING) and ":" not in address:
        raise EdgekdError(f"--ray must be local, auto or the HOST:PORT of a Ray cluster, got '{address}'")
    _ray()


@contextmanager
def open_workers(address: str | None, device: str) -> Iterator[Workers]:
    """Workers for tasks that train. A connection to Ray that is there already is used, and kept.

    Args:
        address: As `check_address` takes it.
        device: That trains, as `edgekd.train` takes it.

    Raises:
        MachineError: There is no cluster at the address, or none of its machines can train.
    """
    if address is None:
        yield Workers(1, False, _in_turn)
        return
    ray = _ray()
    connected = ray.is_initialized()
    if not connected:
        _connect(ray, address)
    try:
        yield _ray_workers(ray, address, device)
    finally:
        if not connected:
            ray.shutdown()


def _in_turn(
    task: Task[Argument, Result], arguments: Sequence[Argument], progress: Progress
) -> Iterator[tuple[int, Result]]:
    for index, argument in enumerate(arguments):
        yield index, task(argument, progress)


def _ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Read when it is imported and started: nothing is reported to anyone.
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_package("ray", "--ray") from error
    return ray


def _require_listener(address: str) -> None:
    """Refuses an address where nothing listens: Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except (OSError, ValueError, OverflowError) as error:
        raise MachineError(
            f"nothing answers at --ray {address} ({one_line(error)}): give the HOST:PORT that 'ray start --head' prints"
        ) from error


def _connect(ray: Any, address: str) -> None:
    if address not in (LOCAL, RUNNING):
        _require_listener(address)
    started = {"include_dashboard": False, "object_store_memory": OBJECT_STORE} if address == LOCAL else {}
    ours = {name: value for name, value in os.environ.items() if name.startswith("EDGEKD_")}
    try:
        ray.init(
            address,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": ours} if ours else None,
            **started,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MachineError(f"cannot connect to Ray at {address}: {one_line(error)}") from error


def _ray_workers(ray: Any, address: str, device: str) -> Workers:
    """Workers with what a training needs: a few cores, and a GPU where one trains."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has_gpu = any(node.get("GPU", 0) >= 1 for node in nodes)
    gpus = int(device.startswith("cuda") or (device == "auto" and has_gpu))
    cpus = int(min(CORES, max(node.get("CPU", 0) for node in nodes)))
    rooms = [min(node.get("CPU", 0) // max(cpus, 1), node.get("GPU", 0) if gpus else CORES * cpus) for node in nodes]
    at_once = int(sum(rooms))
    if not cpus or not at_once:
        raise MachineError(f"no machine of Ray at {address} has {'a GPU' if cpus else 'a core'} for tasks")
    return Workers(at_once, True, partial(_with_ray, ray, cpus, gpus))


def _with_ray(
    ray: Any, cpus: int, gpus: int, task: Task[Argument, Result], arguments: Sequence[Argument], progress: Progress
) -> Iterator[tuple[int, Result]]:
    remote = ray.remote(_on_worker).options(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)
    pending = {remote.remote(str(Path.cwd()), task, argument): index for index, argument in enumerate(arguments)}
    step = f"{len(arguments)} tasks on Ray"
    progress(step, 0, len(arguments))
    try:
        while pending:
            (ready, *_), _ = ray.wait(list(pending), num_returns=1)
            yield pending.pop(ready), _result_of(ray, ready)
            progress(step, len(arguments) - len(pending), len(arguments))
    finally:
        if pending:  # Interrupted, or a task failed: the others save what they have.
            for reference in pending:
                ray.cancel(reference)
            ray.wait(list(pending), num_returns=len(pending), timeout=SECONDS_TO_SAVE)


def _result_of(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise MachineError(
            f"a worker of Ray was lost {RETRIES + 1} times ({one_line(error)}): the same command goes on from here"
        ) from error


def _on_worker(folder: str, task: Task[Argument, Result], argument: Argument) -> Result:
    """Runs a task where relative paths mean the same as for whoever called."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise MachineError(
            f"{folder} is not on every machine of Ray: work in a folder on storage that all of them see"
        ) from error
    return task(argument, silent)
