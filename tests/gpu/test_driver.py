import numpy as np
import pytest

from edgekd.engines.cuda import CudaError

pytestmark = pytest.mark.gpu
MEGABYTE = 1 << 20


def test_the_device_is_described(driver):
    assert driver.device.name
    assert float(driver.device.capability) >= 5
    assert driver.device.memory > 100 * MEGABYTE


def test_what_is_copied_in_comes_out_again(driver):
    sent, got = driver.pinned((MEGABYTE,), np.uint8), driver.pinned((MEGABYTE,), np.uint8)
    sent[:] = np.random.default_rng(0).integers(0, 256, MEGABYTE, np.uint8)
    got[:] = 0
    address, stream, done = driver.allocate(MEGABYTE), driver.stream(), driver.event()
    driver.copy_in(address, sent, stream)
    driver.copy_out(got, address, stream)
    driver.record(done, stream)
    driver.wait(done)
    assert np.array_equal(sent, got)


def test_events_take_the_time(driver):
    host = driver.pinned((64 * MEGABYTE,), np.uint8)
    address, stream = driver.allocate(64 * MEGABYTE), driver.stream()
    start, end = driver.event(), driver.event()
    driver.record(start, stream)
    driver.copy_in(address, host, stream)
    driver.record(end, stream)
    driver.wait(end)
    assert 0.01 < driver.elapsed(start, end) < 10_000


def test_a_captured_copy_is_replayed_with_what_the_memory_holds_by_then(driver):
    if not driver.graphs:
        pytest.skip(f"{driver.package} has no graphs")
    sent, got = driver.pinned((1024,), np.uint8), driver.pinned((1024,), np.uint8)
    address, stream = driver.allocate(1024), driver.stream()

    def there_and_back():
        driver.copy_in(address, sent, stream)
        driver.copy_out(got, address, stream)

    got[:] = 0
    graph = driver.capture(stream, there_and_back)
    driver.drain(stream)
    assert not got.any()
    for value in (7, 9):
        sent[:] = value
        driver.launch(graph, stream)
        driver.drain(stream)
        assert np.all(got == value)
    driver.discard(graph)


def test_more_memory_than_there_is_is_one_clear_error(driver):
    with pytest.raises(CudaError, match=r"^CUDA.*(MEMORY|memory)"):
        driver.allocate(driver.device.memory * 4)
    assert driver.allocate(MEGABYTE)
