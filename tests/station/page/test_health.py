"""How the machine is."""

import os

import pytest

from edgekd import __version__
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.health import Kept, machine_health, temperatures
from edgekd.station.page.roles import Role

from ..record.recording import judged, opened, outcome
from .on_record import store
from .stage import client, make_page


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path / "data")
    yield record
    record.close()


def test_health_of_machine_record_and_links(tmp_path, record):
    judged(record, 1, Verdict.NG)
    content = store(record, tmp_path / "data", 1)
    record.write(outcome(2, Verdict.ERROR, ErrorCode.IMAGE_INCOMPLETE, acquired=0))
    record.write(outcome(3, Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY, acquired=0))
    page = make_page(tmp_path, {"line": {"station": "line", "links": {"plc": True, "camera top": False}}})
    supervisor = client(page, Role.SUPERVISOR)
    found = supervisor.get("/api/health").json()
    assert found["links"] == {"line": {"plc": True, "camera top": False}}
    assert 0 < found["disk"]["free"] <= found["disk"]["total"]
    assert (found["disk"]["images"], found["disk"]["image_bytes"]) == (1, len(content))
    assert found["disk"]["record_bytes"] > 10_000
    assert found["dropped_frames"]["stations"] == {"line": {"102": 1, "401": 1}}
    assert found["dropped_frames"]["texts"]["102"] == "The image did not arrive whole."
    assert found["versions"]["edgekd"] == __version__
    assert 0 < found["memory"]["used_share"] < 1
    page.record.close()


def test_operators_do_not_see_the_machine(tmp_path, record):
    page = make_page(tmp_path)
    assert client(page, Role.OPERATOR).get("/api/health").status_code == 403
    page.record.close()


@pytest.fixture
def jetson(tmp_path):
    """The kernel's files of a small machine."""
    zones = {"cpu-thermal": "51500", "gpu-thermal": "49000", "cv0-thermal": "", "broken": "-256000"}
    for number, (name, degrees) in enumerate(zones.items()):
        folder = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(f"{name}\n")
        (folder / "temp").write_text(degrees)
    cooling = tmp_path / "sys/class/thermal/cooling_device0"
    cooling.mkdir()
    (cooling / "type").write_text("gpu-throttle-alert\n")
    (cooling / "cur_state").write_text("1\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8000 kB\nMemFree: 1000 kB\nMemAvailable:   2000 kB\n")
    (tmp_path / "proc/stat").write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3 4\n")
    return tmp_path


def test_temperatures_are_those_of_the_zones_that_can_be_read(jetson):
    assert temperatures(jetson / "sys") == {"cpu-thermal": 51.5, "gpu-thermal": 49.0}


def test_a_machine_tells_what_it_measures(jetson):
    found = machine_health(jetson / "proc", jetson / "sys", seconds=0)
    assert found["memory"] == {"total": 8_192_000, "available": 2_048_000, "used_share": 0.75}
    assert (found["temperature"]["highest"], found["temperature"]["hot"]) == (51.5, ["gpu"])
    assert found["cpu"]["used_share"] is None  # No time went by.
    assert found["cpu"]["cores"] == os.cpu_count()


def test_what_a_machine_does_not_measure_is_not_known(tmp_path):
    found = machine_health(tmp_path, tmp_path, seconds=0)
    assert (found["memory"], found["cpu"]["used_share"], found["temperature"]["zones"]) == (None, None, {})


def test_what_was_found_out_is_kept_for_a_while():
    kept, found = Kept(1000), []
    for of in ("a", "a", "b"):
        kept.get(of, lambda of=of: found.append(of) or of)
    assert found == ["a", "b"]
    brief = Kept(-1)
    for _ in range(2):
        brief.get("a", lambda: found.append("again") or "a")
    assert found == ["a", "b", "again", "again"]
