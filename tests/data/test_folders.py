"""Which files below a folder are listed, once each, and which are left out and why."""

import os
from pathlib import Path

import pytest

from edgekd.data.folders import list_folder
from edgekd.data.ignored_files import count_ignored
from edgekd.data.images import list_images
from edgekd.errors import EdgekdError
from edgekd.run_folder import IMAGES_FOLDER, VERDICTS_FILE

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become someone else"
)


def lay_out(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"files are listed by name")


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in list_images(root)]


@needs_links
def test_a_linked_folder_is_followed(tmp_path):
    lay_out(tmp_path, "elsewhere/b.png", "elsewhere/deeper/c.png", "source/a.png")
    (tmp_path / "source" / "link").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "source") == ["a.png", "link/b.png", "link/deeper/c.png"]


@needs_links
def test_a_folder_is_listed_once_under_its_own_name_however_it_is_linked(tmp_path):
    lay_out(tmp_path, "lot/a.png", "b.png")
    (tmp_path / "a link before it").symlink_to(tmp_path / "lot")
    (tmp_path / "lot" / "up").symlink_to(tmp_path)
    (tmp_path / "lot" / "itself").symlink_to(tmp_path / "lot" / "itself")
    assert names(tmp_path) == ["b.png", "lot/a.png"]
    counted = count_ignored(tmp_path, list_images(tmp_path))
    assert counted == {"linked to a folder that is listed already": 2, "linked to nothing": 1}


@needs_links
def test_links_of_hidden_folders_are_not_followed(tmp_path):
    lay_out(tmp_path, "source/a.png", "elsewhere/b.png")
    (tmp_path / "source" / ".cache").mkdir()
    (tmp_path / "source" / ".cache" / "link").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "source") == ["a.png"]


@pytest.mark.parametrize("table", [VERDICTS_FILE, "verdicts.parquet", "verdicts/2026.parquet"])
@pytest.mark.parametrize("out", ["", "results/", "deep/er/"])
def test_results_of_inspections_are_left_out_and_counted(table, out, tmp_path):
    images = (f"{IMAGES_FOLDER}/a.png.000001.heat.jpg", f"{IMAGES_FOLDER}/a.png.000001.original.png")
    lay_out(tmp_path, "a.png", "moved/a.png.heat.jpg", f"{out}{table}", *(f"{out}{image}" for image in images))
    assert names(tmp_path) == ["a.png"]
    assert count_ignored(tmp_path, list_images(tmp_path))["results of inspections"] == 3


def test_parts_beside_results_and_a_folder_of_that_name_without_verdicts_are_seen(tmp_path):
    lay_out(tmp_path, "lot/a.png", f"lot/{VERDICTS_FILE}", f"lot/{IMAGES_FOLDER}/b.png", f"{IMAGES_FOLDER}/c.png")
    assert names(tmp_path) == [f"{IMAGES_FOLDER}/c.png", "lot/a.png"]


@needs_root
def test_a_folder_that_may_not_be_read_is_an_error_unless_it_is_left_out(tmp_path):
    lay_out(tmp_path, "a.png", "shut/b.png", "lost+found/c.png")
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    for name in ("shut", "lost+found"):
        (tmp_path / name).chmod(0)
    os.seteuid(65534)
    try:
        assert list_folder(tmp_path).unreadable == {tmp_path / "shut": "Permission denied"}
        with pytest.raises(EdgekdError, match=r"cannot read the folder .*shut: Permission denied; allow it to be read"):
            list_images(tmp_path)
    finally:
        os.seteuid(0)
