"""The simulated station: what it is made of, and a whole line of parts through it."""

import asyncio
import signal
import subprocess
import sys

import httpx
import pytest

from edgekd.errors import EdgekdError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.configuration_file import read_configuration, warnings_of
from edgekd.station.recipes_on_disk import RecipesOnDisk
from edgekd.station.record.reading import RecordReader
from edgekd.station.simulation import prepare_simulation, simulate

pytest.importorskip("tomlkit")


@pytest.fixture(scope="module")
def prepared(exported, tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "station"
    return prepare_simulation(exported.parent, out)


def test_a_run_becomes_a_station_with_a_released_recipe_and_images(prepared):
    configuration = read_configuration(prepared.configuration)
    assert warnings_of(configuration) == []
    assert configuration.stations[0].start_online
    released = RecipesOnDisk(configuration.recipes).released(configuration.stations[0].job)
    assert set(released.recipe.cameras) == set(configuration.stations[0].cameras)
    assert len(prepared.images) == 11  # Those that the run held out.
    assert prepared.image_of(1) == prepared.image_of(12)
    assert prepared.image_of(1) != prepared.image_of(2)
    assert prepared.image_of(None) == ("", None)


def test_a_folder_that_was_prepared_is_used_again_and_another_is_not_touched(prepared, exported, tmp_path):
    again = prepare_simulation(exported.parent, prepared.configuration.parent)
    assert again.images == prepared.images
    (tmp_path / "mine.txt").touch()
    with pytest.raises(EdgekdError, match="holds something else"):
        prepare_simulation(exported.parent, tmp_path)
    with pytest.raises(EdgekdError, match="edgekd demo"):
        prepare_simulation(tmp_path / "none", tmp_path / "out")


def test_parts_go_through_the_whole_station_and_are_on_record_as_the_plc_got_them(prepared):
    seen = []
    result = asyncio.run(simulate(prepared, 3, seen.append))
    assert [part.part_id for part in seen] == [1, 2, 3]
    assert [part.image for part in seen] == [prepared.image_of(number)[0] for number in (1, 2, 3)]
    assert result.parts == sum(result.verdicts.values()) == 3
    assert result.verdicts["ERROR"] == 0, seen
    assert result.violations == {}
    with RecordReader(prepared.configuration.parent / "data" / VERDICTS_FILE) as record:
        recorded = {each.outcome.part.part_id: each.outcome for each in record.last(3)}
    assert {number: outcome.verdict.value for number, outcome in recorded.items()} == {
        part.part_id: part.verdict for part in seen
    }
    assert all(outcome.simulated or outcome.source == "modbus" for outcome in recorded.values())
    seen.clear()
    asyncio.run(simulate(prepared, 1, seen.append))  # With the record of before.
    assert len(seen) == 1


def test_a_simulated_station_shows_its_page_and_goes_on_until_it_is_stopped(exported, tmp_path):
    pytest.importorskip("fastapi")
    simulation = prepare_simulation(exported.parent, tmp_path / "station", page=0)
    seen = []

    async def look():
        line = asyncio.create_task(simulate(simulation, 0, seen.append, every_s=0.01))
        try:
            async with httpx.AsyncClient(base_url=simulation.page, timeout=60) as client:
                while len(seen) < 3 or not await _answers(client):
                    assert not line.done(), line
                    await asyncio.sleep(0.05)
                state = (await client.get("/api/state")).json()["stations"][0]
        finally:
            line.cancel()
            await asyncio.wait({line})
        assert state["lot"]["lot"] == "LOT-1"
        assert state["state"]["simulated"]

    asyncio.run(look())


async def _answers(client):
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


def test_ctrl_c_ends_it_with_its_own_code(prepared, exported):
    words = ["station", "--simulate", "--run", exported.parent, "--out", prepared.configuration.parent]
    command = [sys.executable, "-c", "import sys; from edgekd.cli.main import main; sys.exit(main())", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("part"):
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "edgekd: interrupted"
