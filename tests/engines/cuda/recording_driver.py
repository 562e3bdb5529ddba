"""A CUDA driver without a GPU: device memory and streams as they are promised to behave, no kinder.

Work on a stream happens in its order, but as late as the promises allow and mixed at random with other streams'. So
whoever reads a buffer too early, or writes it too early again, gets wrong numbers. Nothing may be given back while work
is queued that uses it; a kernel may use any device memory.
"""

import random
from collections import deque

import numpy as np

from edgekd.engines.cuda.driver import CudaError, CudaMemoryError, Device, Driver, bytes_of


class RecordingDriver(Driver):
    """Keeps a log of calls, and fails at the ones it is told to.

    Args:
        seed: Of the order in which streams get on.
        fails_at: Number of the call that fails, from 0; None for none.
        sticky: Whether every call after it fails too, as when the device is gone.
        room: Bytes of device memory that there are.
    """

    package = "recording"
    device = Device("none", "0.0", "0.0", 1 << 30)
    graphs = True

    def __init__(self, seed=0, fails_at=None, sticky=False, room=1 << 30):
        super().__init__()
        self.room = room
        self.log = []
        self.memory = {}  # By address.
        self.live = set()  # What was taken and not given back.
        self.fails_at, self.sticky = fails_at, sticky
        self.failed = None  # The call that failed first.
        self._chance = random.Random(seed)
        self._queues = {}  # Of each stream: the work, and what it uses.
        self._blocks = {}  # What is page-locked, by what is given back.
        self._clock = 0.0
        self._capturing = None
        self._next = 1

    def allocate(self, size):
        self._call("allocate")
        self.room -= size
        if self.room < 0:
            raise CudaMemoryError("CUDA's allocate failed: OUT OF MEMORY")
        self._next += 1 << 20  # So that an address inside a block is no other block's.
        address = self._taken("memory")
        self.memory[address] = np.full(size, 0xA5, np.uint8)
        return address

    def _lock(self, block):
        self._call("pinned")
        block[:] = 0x5A
        self._blocks[("pinned", self._taken("pinned"))] = block
        return True

    def stream(self):
        self._call("stream")
        stream = self._taken("stream")
        self._queues[stream] = deque()
        self._streams.append(stream)
        return stream

    def event(self):
        self._call("event")
        return {"happened": None, "pending": 0, "number": self._taken("event")}

    def address_of(self, stream):
        return stream

    def copy_in(self, address, host, stream):
        size = bytes_of(host)
        uses = {("memory", address), self._block_of(host)}
        self._enqueue("copy_in", stream, lambda: self._write(address, host.reshape(-1).view(np.uint8)[:size]), uses)

    def copy_out(self, host, address, stream):
        size = bytes_of(host)

        base = max(known for known in self.memory if known <= address)  # Addresses inside a block count from its own.

        def copy():
            host.reshape(-1).view(np.uint8)[:] = self.memory[base][address - base : address - base + size]

        self._enqueue("copy_out", stream, copy, {("memory", base), self._block_of(host)})

    def compute(self, stream, work):
        """Enqueues a kernel; what a test's `compute` does."""
        self._enqueue("compute", stream, work, {key for key in self.live if key[0] == "memory"})

    def record(self, event, stream):
        def happen():
            event["pending"] -= 1
            self._clock += 1.0
            event["happened"] = self._clock

        accepted = lambda: event.update(pending=event["pending"] + 1, stream=stream)  # noqa: E731
        self._enqueue("record", stream, happen, {("event", event["number"])}, accepted)

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
        key = ("graph", self._taken("graph", graph))
        graph[:] = [(work, uses | {key}) for work, uses in graph]
        return graph

    def launch(self, graph, stream):
        self._call("launch")
        self._queues[stream].extend(graph)

    def is_busy(self):
        """Whether any work is queued."""
        return any(self._queues.values())

    def _block_of(self, host):
        """The page-locked block that an array lies in; copies are of no other memory."""
        return next(key for key, block in self._blocks.items() if np.may_share_memory(block, host))

    def _write(self, address, data):
        self.memory[address][: len(data)] = data

    def _enqueue(self, name, stream, work, uses, accepted=lambda: None):
        self._call(name)
        accepted()
        if self._capturing is not None:
            self._capturing.append((work, uses))
            return
        self._queues[stream].append((work, uses))
        self._let_others_go_on()

    def _let_others_go_on(self):
        for queue in self._queues.values():
            while queue and self._chance.random() < 0.2:
                queue.popleft()[0]()

    def _advance(self, stream, until):
        while not until():
            self._queues[stream].popleft()[0]()
            self._let_others_go_on()

    def _taken(self, kind, what=None):
        self._next += 1
        key = (kind, self._next)
        self.live.add(key)
        self._hold(self._next if what is None else what, lambda: self._give_back(key))
        return self._next

    def _give_back(self, key):
        kind, number = key
        assert kind != "stream" or not self._queues[number], f"{key} is given back with work on it"
        queued = [uses for queue in self._queues.values() for _, uses in queue]
        assert not any(key in uses for uses in queued), f"{key} is given back while work is queued that uses it"
        self.live.discard(key)
        self._blocks.pop(key, None)
        self._call("release")

    def _call(self, name):
        self._check_thread()
        number = len(self.log)
        self.log.append(name)
        if self.fails_at is not None and (number == self.fails_at or (self.sticky and number > self.fails_at)):
            self.failed = self.failed or name
            if self.sticky:  # Nothing runs any more on a device that is gone.
                for queue in self._queues.values():
                    queue.clear()
            raise CudaError(f"CUDA's {name} failed: INJECTED")
