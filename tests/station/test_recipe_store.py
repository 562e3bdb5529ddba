"""Recipes on the disk: what a station finds, and that nothing but what was released judges parts."""

import hashlib
import json
import os
import shutil
import stat
import subprocess

import cv2
import numpy as np
import pytest

from edgekd.errors import ArtifactError, EdgekdError
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipe_release import next_revision, release, retire
from edgekd.station.recipe_store import (
    find_job,
    list_recipes,
    problem_of,
    read_recipe,
    recipe_digest,
    released_recipe,
)
from edgekd.station.recipes_on_disk import RecipesOnDisk

from ..engines.hand_made import graph, save
from .recipe_folders import write_draft

pytest.importorskip("tomlkit")


@pytest.fixture
def parts(tmp_path):
    """A tiny detector and an image."""
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((16, 16), 128, np.uint8))
    return save(graph(), tmp_path), image


@pytest.fixture
def draft(parts, tmp_path):
    return write_draft(tmp_path / "recipes", *parts)


@pytest.fixture
def released(draft):
    release(draft, "Ann", "the first")
    return draft


def change(folder, old, new):
    path = folder / "recipe.toml"
    text = path.read_text()
    assert old in text
    path.chmod(0o644)
    path.write_text(text.replace(old, new))


def refused(code, call, *arguments):
    with pytest.raises(StationError) as caught:
        call(*arguments)
    assert caught.value.code is code
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_draft_is_read_and_is_found_by_no_job(draft):
    recipe = read_recipe(draft)
    assert (recipe.id, recipe.job, recipe.revision, recipe.status) == ("bolt", 3, 1, "draft")
    assert recipe.cameras["top"].exposure_us == 800
    assert "no released recipe for job 3" in refused(ErrorCode.JOB_UNKNOWN, find_job, draft.parents[1], 3)
    assert "is a draft" in refused(ErrorCode.JOB_UNKNOWN, released_recipe, draft)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("exposure_us", "exposure", "cameras.top.exposure is not known: did you mean exposure_us"),
        ("[detector]", "[detectr]", "detectr is not known: did you mean detector"),
        ("deadline_ms = 400", "speed = 3", "speed is not known: known are id, job"),
        ("job = 3", 'job = "3"', "job must be an integer, got '3'"),
        ("job = 3", "job = 3.0", "job must be an integer, got 3.0"),
        ("job = 3", "job = 1000", "job must be at most 999, got 1000"),
        ("job = 3", "job = 2026-01-01", "job must be an integer, got '2026-01-01'"),
        ("revision = 1", "revision = 2", "revision must be that of its folder, 1, got 2"),
        ('id = "bolt"', 'id = "nut"', "id must be that of its folder, bolt, got nut"),
        ('id = "bolt"', 'id = "../nut"', "id must be 1 to 64 letters"),
        ("lowest = 0.5", "lowest = nan", "references[0].lowest must be a finite number, got nan"),
        ("lowest = 0.5", "lowest = 2", "must have lowest below highest"),
        ("references/ok.png", "references/no.png", "references[0].image names references/no.png, which is not there"),
        ("references/ok.png", "../../ok.png", "references[0].image must be a path inside its folder"),
        ("[detector]\n", "[detector]\nthreshold = nan\n", "detector.threshold must be a finite number"),
        ("[detector]\n", "[detector]\ngrey_zone = [2, 1]\n", "must hold the lower edge of grey_zone first"),
        ("deadline_ms = 400", 'status = "released"', "release belongs to a released recipe, and status is released"),
        ("job = 3", "job 3", "is not valid TOML"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(draft, old, new, message):
    change(draft, old, new)
    with pytest.raises(ArtifactError) as caught:
        read_recipe(draft)
    assert message in str(caught.value)
    assert str(draft) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_released_recipe_is_found_whole_and_read_only(draft):
    digest = release(draft, "Ann", "the first")
    recipes = draft.parents[1]
    assert find_job(recipes, 3) == draft
    found = RecipesOnDisk(recipes).released(3)
    assert (found.digest, found.recipe.status) == (digest, "released")
    assert (found.recipe.release.by, found.recipe.release.reason) == ("Ann", "the first")
    assert digest == recipe_digest(draft)
    assert "# Why this exposure" in (draft / "recipe.toml").read_text()
    for path in (draft / "recipe.toml", draft / "x.onnx", draft.with_name("1.sha256")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    with pytest.raises(EdgekdError, match="released already"):
        release(draft, "Ann", "again")


def test_the_digest_is_what_sha256sum_writes(released):
    listed = released.with_name("1.sha256").read_bytes()
    assert recipe_digest(released) == hashlib.sha256(listed).hexdigest()
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum")
    subprocess.run([program, "--check", "--quiet", "../1.sha256"], cwd=released, check=True)


def altered_files(folder):
    """Each way to alter a released recipe, and what is said of it."""
    yield "x.onnx was changed", lambda: flip_a_byte(folder / "x.onnx")
    yield "references/ok.png was changed", lambda: flip_a_byte(folder / "references" / "ok.png")
    yield "recipe.toml was changed", lambda: change(folder, "deadline_ms = 400", "deadline_ms = 401")
    yield "references/ok.png was removed", (folder / "references" / "ok.png").unlink
    yield "more.png was added", (folder / "more.png").touch
    yield "which is not a regular file", lambda: (folder / "link").symlink_to("/etc/passwd")
    yield "which is not a regular file", lambda: (folder / "other").symlink_to(folder.parent)


def flip_a_byte(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("number", range(7))
def test_a_released_recipe_of_which_anything_was_altered_is_not_loaded(released, number):
    said, alter = list(altered_files(released))[number]
    alter()
    assert said in refused(ErrorCode.DIGEST_DIFFERS, released_recipe, released)
    assert problem_of(list_recipes(released.parents[1])[0])


def test_a_list_of_digests_that_was_altered_is_not_believed(released):
    path = released.with_name("1.sha256")
    path.chmod(0o644)
    path.write_bytes(b"\xff\n")
    refused(ErrorCode.DIGEST_DIFFERS, released_recipe, released)
    path.write_text("")
    refused(ErrorCode.DIGEST_DIFFERS, released_recipe, released)


def test_a_change_makes_the_next_revision_and_retires_the_one_before(released):
    recipes = released.parents[1]
    second = next_revision(released)
    assert second.name == "2"
    assert read_recipe(second).status == "draft"
    assert "# Measured." in (second / "recipe.toml").read_text()
    change(second, "deadline_ms = 400", "deadline_ms = 300")
    assert find_job(recipes, 3) == released
    release(second, "Bob", "faster")
    assert find_job(recipes, 3) == second
    assert [(each.revision, each.status) for each in list_recipes(recipes)] == [(1, "retired"), (2, "released")]
    assert "is retired" in refused(ErrorCode.JOB_UNKNOWN, released_recipe, released)
    assert "revision 2 took its place" in released.with_name("1.retired").read_text()
    retire(second, "Bob", "no longer made")
    refused(ErrorCode.JOB_UNKNOWN, find_job, recipes, 3)
    assert next_revision(released).name == "3"


def test_where_the_last_release_cannot_be_read_the_one_before_does_not_take_its_place(released):
    second = next_revision(released)
    release(second, "Bob", "faster")
    released.with_name("1.retired").unlink()
    change(second, "deadline_ms", "dedline_ms")
    assert "did you mean deadline_ms" in refused(ErrorCode.JOB_UNKNOWN, find_job, released.parents[1], 3)


def test_one_recipe_that_cannot_be_read_does_not_keep_others_from_being_found(released, parts):
    other = write_draft(released.parents[1], *parts, "nut", 4)
    release(other, "Ann", "the second")
    change(released, "job = 3", "job 3")
    assert find_job(released.parents[1], 4) == other
    assert [bool(each.problem) for each in list_recipes(released.parents[1])] == [True, False]


def test_a_job_belongs_to_one_recipe(released, parts):
    other = write_draft(released.parents[1], *parts, "nut", 3)
    with pytest.raises(EdgekdError, match="job 3 is that of bolt/1: take another"):
        release(other, "Ann", "the second")
    moved = released.parents[1].parent / "elsewhere" / "nut" / "1"
    moved.parent.mkdir(parents=True)
    shutil.move(other, moved)
    release(moved, "Ann", "elsewhere")
    shutil.copytree(moved.parent, released.parents[1] / "nut", dirs_exist_ok=True)
    assert "bolt/1 and nut/1 are both released" in refused(ErrorCode.JOB_UNKNOWN, find_job, released.parents[1], 3)


def test_only_what_a_station_could_run_is_released(draft):
    with pytest.raises(EdgekdError, match="the reason is missing"):
        release(draft, "Ann", " ")
    text = (draft / "recipe.toml").read_text()
    (draft / "recipe.toml").write_text(text.partition("[[self_tests")[0])
    with pytest.raises(EdgekdError, match="holds no reference image"):
        release(draft, "Ann", "the first")
    (draft / "recipe.toml").write_text(text)
    manifest = json.loads((draft / "x.json").read_text())
    (draft / "x.json").write_text(json.dumps(manifest | {"threshold": None}))
    with pytest.raises(EdgekdError, match="holds no threshold"):
        release(draft, "Ann", "the first")
    (draft / "x.json").write_text(json.dumps(manifest | {"sha256": "0" * 64}))
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        release(draft, "Ann", "the first")
    assert list_recipes(draft.parents[1])[0].status == "draft"
    with pytest.raises(EdgekdError, match="is a draft"):
        retire(draft, "Ann", "not wanted")


def test_a_release_that_was_cut_off_is_none_and_can_be_made_again(draft, monkeypatch):
    import edgekd.station.recipe_release as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "list_path", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            release(draft, "Ann", "the first")
    refused(ErrorCode.JOB_UNKNOWN, find_job, draft.parents[1], 3)
    release(draft, "Ann", "the first, again")
    assert read_recipe(find_job(draft.parents[1], 3)).release.reason == "the first, again"


def test_other_files_in_the_folder_of_recipes_are_left_alone(released):
    recipes = released.parents[1]
    (recipes / "notes.txt").touch()
    (recipes / "bolt" / "02").mkdir()
    (recipes / "bolt" / "old").mkdir()
    (recipes / ".trash" / "1").mkdir(parents=True)
    assert [each.folder for each in list_recipes(recipes)] == [released]
    with pytest.raises(EdgekdError, match="cannot read the folder of recipes"):
        list_recipes(recipes / "none")


@pytest.mark.skipif(os.name != "posix", reason="names with a backslash")
def test_a_file_with_a_name_that_a_list_could_not_hold_is_refused(draft):
    (draft / "a\nb").touch()
    with pytest.raises(ArtifactError, match="not a regular file with a plain name"):
        recipe_digest(draft)
