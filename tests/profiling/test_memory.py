import mmap

from edgekd.profiling.memory import Memory, read_memory


def test_what_a_process_holds_grows_with_what_it_fills():
    with mmap.mmap(-1, 64 << 20) as pages:  # New ones: an array might get some that this process has freed.
        before = read_memory()
        for start in range(0, len(pages), mmap.PAGESIZE):
            pages[start] = 1
        after = read_memory()
        assert after.resident - before.resident > 0.9 * len(pages)
        assert after.peak >= after.resident


def test_the_systems_kilobytes_are_bytes_and_what_it_does_not_say_is_none(tmp_path):
    status = tmp_path / "status"
    assert read_memory(status) is None
    for text in ("", "Name:\tx\n", "VmRSS:\t\nVmHWM:\t2 kB\n", "VmRSS:\tmany kB\nVmHWM:\t2 kB\n"):
        status.write_text(text)
        assert read_memory(status) is None
    status.write_text("Name:\tpython\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\n")
    assert read_memory(status) == Memory(200 * 1024, 300 * 1024)
