import json

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
    content = {"system": "hkt", "data": "d", "teachers": {"t": "s"}, "iterations": 3}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    recipe = read_recipe(tmp_path)
    assert (recipe.size, recipe.batch, recipe.learning_rate, recipe.weight_decay) == ((256, 256), 1, 1e-4, 1e-5)
    assert recipe.held_out == ()


@pytest.mark.parametrize(("kept", "size"), [(128, (128, 128)), ([128, 320], (128, 320))])
def test_a_recipes_size_is_height_and_width_and_of_before_a_side(tmp_path, kept, size):
    content = {"system": "hkt", "data": "d", "teachers": {"t": "s"}, "iterations": 3, "size": kept}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    recipe = read_recipe(tmp_path)
    assert recipe.size == size
    write_recipe(tmp_path, recipe)
    assert json.loads((tmp_path / RECIPE_FILE).read_text())["size"] == list(size)


def test_a_recipe_of_before_there_were_rules_of_resizing_keeps_the_first(tmp_path):
    assert RECIPE.resize == "area-2"
    content = {"system": "hkt", "data": "d", "teachers": {"t": "s"}, "iterations": 3}
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content))
    assert read_recipe(tmp_path).resize == "area"
    (tmp_path / RECIPE_FILE).write_text(json.dumps(content | {"resize": "area-9"}))
    with pytest.raises(ArtifactError, match=r"recipe\.json needs images resized by the rule 'area-9'"):
        read_recipe(tmp_path)


def test_a_folder_without_recipe_is_no_run(tmp_path):
    with pytest.raises(EdgekdError, match=r"is not a run folder: it has no recipe\.json; make one with 'edgekd train'"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not valid JSON"),
        ("[]", "is not a recipe that this version of edgekd reads"),
        ('{"system": "hkt", "temperature": 3}', "is not a recipe that this version of edgekd reads"),
        ('{"system": "hkt"}', "incomplete"),
        ('{"system": "hkt", "data": "d", "teachers": {}, "iterations": 3, "size": [64]}', "incomplete"),
    ],
)
def test_a_damaged_recipe_says_what_is_wrong(tmp_path, content, complaint):
    (tmp_path / RECIPE_FILE).write_text(content)
    with pytest.raises(ArtifactError, match=complaint):
        read_recipe(tmp_path)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_system_says_how_it_leaves_torch(system):
    recipe = read_export_recipe(system)
    assert recipe.opset >= 17
    assert {"Conv", "Resize", "Cast"} <= recipe.operators
    assert recipe.variant_operators
    assert not recipe.variant_operators & recipe.operators
    assert not recipe.operators & {"Shape", "Gather", "Loop", "If", "NonZero"}
