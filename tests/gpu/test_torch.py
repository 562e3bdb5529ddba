"""Torch alone: what the driver tests look at, where neither cuda-bindings nor pycuda is installed."""

import pytest

pytestmark = pytest.mark.gpu
SIZE = 1 << 20


def test_what_is_copied_in_comes_out_again_on_a_stream_of_its_own(torch_cuda):
    torch = torch_cuda
    sent = torch.randint(0, 256, (SIZE,), dtype=torch.uint8).pin_memory()
    got = torch.zeros(SIZE, dtype=torch.uint8).pin_memory()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        device = torch.empty(SIZE, dtype=torch.uint8, device="cuda")
        device.copy_(sent, non_blocking=True)
        got.copy_(device, non_blocking=True)
    stream.synchronize()
    assert torch.equal(sent, got)


def test_events_take_the_time(torch_cuda):
    torch = torch_cuda
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    numbers = torch.ones(16 * SIZE, device="cuda")
    start.record()
    for _ in range(10):
        numbers.mul_(1.5)
    end.record()
    end.synchronize()
    assert 0.01 < start.elapsed_time(end) < 10_000


def test_a_captured_kernel_replays_with_what_the_memory_holds_by_then(torch_cuda):
    torch = torch_cuda
    numbers, doubled = torch.ones(1024, device="cuda"), torch.zeros(1024, device="cuda")
    torch.mul(numbers, 2, out=doubled)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        torch.mul(numbers, 2, out=doubled)
    for value in (3.0, 7.0):
        numbers.fill_(value)
        graph.replay()
        torch.cuda.synchronize()
        assert bool((doubled == 2 * value).all())
