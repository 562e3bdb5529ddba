"""The simulated station: what it is made of, and a whole line of parts through it."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.station.configuration_file import read_configuration, warnings_of
from edgekd.station.recipe_store import RecipeFolder
from edgekd.station.simulation import prepare_simulation

pytest.importorskip("tomlkit")


@pytest.fixture(scope="module")
def prepared(exported, tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "station"
    return prepare_simulation(exported.parent, out)


def test_a_run_becomes_a_station_with_a_released_recipe_and_images(prepared):
    configuration = read_configuration(prepared.configuration)
    assert warnings_of(configuration) == []
    assert configuration.stations[0].start_online
    released = RecipeFolder(configuration.recipes).released(configuration.stations[0].job)
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
