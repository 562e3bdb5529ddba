import json
import os
from dataclasses import replace

import pytest

from edgekd.errors import ArtifactError, EdgekdError
from edgekd.models.registry import SYSTEMS
from edgekd.recipe import TrainingRecipe, read_export_recipe, read_recipe, write_recipe
from edgekd.run_folder import RECIPE_FILE

RECIPE = TrainingRecipe(
    system="hkt",
    data="/images",
    teachers={"pdn_small": "0" * 64},
    iterations=7,
    size=64,
    batch=2,
    learning_rate=3e-4,
    schedule="step",
    seed=5,
    held_out=("a.png", "b/c.png"),
    settings={"cbam": False},
)


def test_a_recipe_goes_round(tmp_path):
    write_recipe(tmp_path, RECIPE)
    assert read_recipe(tmp_path) == RECIPE
    assert [path.name for path in tmp_path.iterdir()] == [RECIPE_FILE]


def test_what_an_older_recipe_does_not_say_is_the_default(tmp_path):
    content = {"system": "hkt", "data": "d", "teachers": {"t": "0" * 64}, "iterations": 3}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    recipe = read_recipe(tmp_path)
    assert (recipe.size, recipe.batch, recipe.learning_rate, recipe.weight_decay) == ((256, 256), 1, 1e-4, 1e-5)
    assert recipe.held_out == ()


@pytest.mark.parametrize(("kept", "size"), [(128, (128, 128)), ([128, 320], (128, 320))])
def test_a_recipes_size_is_height_and_width_and_of_before_a_side(tmp_path, kept, size):
    content = {"system": "hkt", "data": "d", "teachers": {"t": "0" * 64}, "iterations": 3, "size": kept}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    recipe = read_recipe(tmp_path)
    assert recipe.size == size
    write_recipe(tmp_path, recipe)
    assert json.loads((tmp_path / RECIPE_FILE).read_text())["size"] == list(size)


def test_a_recipe_of_before_there_were_rules_of_resizing_keeps_the_first(tmp_path):
    assert RECIPE.resize == "area-2"
    content = {"system": "hkt", "data": "d", "teachers": {"t": "0" * 64}, "iterations": 3}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    assert read_recipe(tmp_path).resize == "area"
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content | {"resize": "area-9"}))
    with pytest.raises(ArtifactError, match=r"recipe\.json needs images resized by the rule 'area-9'"):
        read_recipe(tmp_path)


def test_a_folder_without_recipe_is_no_run(tmp_path):
    with pytest.raises(EdgekdError, match=r"is not a run folder: it has no recipe\.json; make one with 'edgekd train'"):
        read_recipe(tmp_path)


WHOLE = {"system": "hkt", "data": "d", "teachers": {"t": "0" * 64}, "iterations": 3}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "recipe.json is not valid JSON"),
        ([], "recipe.json is not a recipe, it holds a list: train again"),
        ({"system": "hkt"}, "recipe.json: data is missing; train again"),
        (WHOLE | {"temperature": 3}, "recipe.json: temperature is not known to this edgekd; train again"),
        (WHOLE | {"size": [64]}, r"recipe.json: size\[1\] is missing; train again"),
        (WHOLE | {"size": [64, 64, 3]}, "recipe.json: size must have at most 2 entries; train again"),
        (WHOLE | {"size": 1e3}, "recipe.json: size must be a list, got 1000.0; train again"),
        (WHOLE | {"iterations": "many"}, "recipe.json: iterations must be an integer, got 'many'; train again"),
        (WHOLE | {"iterations": True}, "recipe.json: iterations must be an integer, got true"),
        (WHOLE | {"batch": 0}, "recipe.json: batch must be at least 1, got 0"),
        (WHOLE | {"learning_rate": 10**400}, "recipe.json is not valid JSON: it holds 1000"),
        (WHOLE | {"teachers": {"t": "f00"}}, "recipe.json: teachers.t must be a SHA-256, 64 hex.* got 'f00'"),
        (WHOLE | {"held_out": ["a.png", "../../b.png"]}, r"held_out\[1\] must be a path inside its folder, got '../"),
        (WHOLE | {"left_out": ["/etc/passwd"]}, r"left_out\[0\] must be a path inside its folder, got '/etc/passwd'"),
        (WHOLE | {"held_out": ["a.png", "a.png"]}, "held_out must name each file once, and names 'a.png' twice"),
        (WHOLE | {"bit_depth": 99}, "bit_depth must be at most 16, got 99"),
        (WHOLE | {"view": {"tiles": [2, 0]}}, r"view.tiles\[1\] must be at least 1, got 0"),
        (WHOLE | {"view": {"crop": [0, 0, 64, 64]}}, "recipe.json: a crop, a polygon or an alignment needs the size"),
        (WHOLE | {"view": {"zoom": 2}}, "view.zoom is not known to this edgekd"),
    ],
)
def test_a_damaged_recipe_is_refused_with_its_file_its_field_and_what_to_do(tmp_path, content, complaint):
    (tmp_path / RECIPE_FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ArtifactError, match=complaint) as caught:
        read_recipe(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_recipe_keeps_names_that_are_not_utf8(tmp_path):
    recipe = replace(RECIPE, held_out=(os.fsdecode(b"b_\xe4.png"),))
    write_recipe(tmp_path, recipe)
    assert read_recipe(tmp_path) == recipe


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"colour": 3}, "unknown setting of hkt 'colour'"),
        ({"cbam": "off"}, "the setting cbam of hkt should be a valid boolean, got 'off'"),
        ({"tap_weight": True}, "the setting tap_weight of hkt should be a valid number, got True"),
        ({"student": "pdn_medium"}, "unknown setting of hkt 'student'"),
    ],
)
def test_settings_that_a_system_does_not_take_are_refused_before_it_is_built(settings, complaint):
    with pytest.raises(EdgekdError, match=complaint):
        SYSTEMS["hkt"].detector(64, settings)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_system_says_how_it_leaves_torch(system):
    recipe = read_export_recipe(system)
    assert recipe.opset >= 17
    assert {"Conv", "MatMul", "Cast"} <= recipe.operators
    assert recipe.variant_operators
    assert not recipe.variant_operators & recipe.operators
    assert not recipe.operators & {"Shape", "Gather", "Loop", "If", "NonZero"}
