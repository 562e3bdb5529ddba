"""A CUDA driver without a GPU: device memory and streams as they are promised to behave, no kinder.

Work on a stream happens in its order, but as late as the promises allow and mixed at random with other streams'. So
whoever reads a buffer too early, or writes it too early again, gets wrong numbers.
"""

import random
from collections import deque

import numpy as np

from edgekd.engines.cuda.driver import CudaError, Device, Driver, bytes_of


class RecordingDriver(Driver):
    """Keeps a log of calls, and fails at the ones it is told to.

    Args:
        seed: Of the order in which streams get on.
        fails_at: Number of the call that fails, from 0; None for none.
        sticky: Whether every call after it fails too, as when the device is gone.
    """

    package = "recording"
    device = Device("none", "0.0", "0.0", 1 << 30)
    graphs = True

    def __init__(self, seed=0, fails_at=None, sticky=False):
        super().__init__()
        self.log = []
        self.memory = {}  # By address.
        self.live = set()  # What was taken and not given back.
        self.fails_at, self.sticky = fails_at, sticky
        self.failed = None  # The call that failed first.
        self._chance = random.Random(seed)
        self._queues = {}
        self._clock = 0.0
        self._capturing = None
        self._next = 1

    def allocate(self, size):
        self._call("allocate")
        address = self._taken("memory")
        self.memory[address] = np.full(size, 0xA5, np.uint8)
        return address

    def pinned(self, shape, dtype):
        self._call("pinned")
        self._taken("pinned")
        return np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize, 0x5A, np.uint8).view(dtype).reshape(shape)

    def stream(self):
        self._call("stream")
        stream = self._taken("stream")
        self._queues[stream] = deque()
        return stream

    def event(self):
        self._call("event")
        self._taken("event")
        return {"happened": None, "pending": 0}

    def address_of(self, stream):
        return stream

    def copy_in(self, address, host, stream):
        size = bytes_of(host)
        self._enqueue("copy_in", stream, lambda: self._write(address, host.reshape(-1).view(np.uint8)[:size]))

    def copy_out(self, host, address, stream):
        size = bytes_of(host)

        def copy():
            host.reshape(-1).view(np.uint8)[:] = self.memory[address][:size]

        self._enqueue("copy_out", stream, copy)

    def compute(self, stream, work):
        """Enqueues a kernel; what a test's `compute` does."""
        self._enqueue("compute", stream, work)

    def record(self, event, stream):
        def happen():
            event["pending"] -= 1
            self._clock += 1.0
            event["happened"] = self._clock

        self._enqueue("record", stream, happen, lambda: event.update(pending=event["pending"] + 1, stream=stream))

    def wait(self, event):
        self._call("wait")
        self._advance(event["stream"], until=lambda: not event["pending"])

    def drain(self, stream):
        self._call("drain")
        self._advance(stream, until=lambda: not self._queues[stream])

    def elapsed(self, start, end):
        self._call("elapsed")
        assert not start["pending"]
        assert not end["pending"]
        return end["happened"] - start["happened"]

    def capture(self, stream, work):
        self._call("capture")
        graph = self._capturing = []
        try:
            work()
        finally:
            self._capturing = None
        self._call("instantiate")
        self._taken("graph", graph)
        return graph

    def launch(self, graph, stream):
        self._call("launch")
        self._queues[stream].extend(graph)

    def _write(self, address, data):
        self.memory[address][: len(data)] = data

    def _enqueue(self, name, stream, work, accepted=lambda: None):
        self._call(name)
        accepted()
        if self._capturing is not None:
            self._capturing.append(work)
            return
        self._queues[stream].append(work)
        self._let_others_go_on()

    def _let_others_go_on(self):
        for queue in self._queues.values():
            while queue and self._chance.random() < 0.2:
                queue.popleft()()

    def _advance(self, stream, until):
        while not until():
            self._queues[stream].popleft()()
            self._let_others_go_on()

    def _taken(self, kind, what=None):
        self._next += 1
        key = (kind, self._next)
        self.live.add(key)
        self._hold(self._next if what is None else what, lambda: self._give_back(key))
        return self._next

    def _give_back(self, key):
        self.live.discard(key)
        self._call("release")

    def _call(self, name):
        self._check_thread()
        number = len(self.log)
        self.log.append(name)
        if self.fails_at is not None and (number == self.fails_at or (self.sticky and number > self.fails_at)):
            self.failed = self.failed or name
            raise CudaError(f"CUDA's {name} failed: INJECTED")
