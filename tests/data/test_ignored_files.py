import pytest

from edgekd.data.ignored_files import count_ignored, describe_ignored
from edgekd.data.layouts import find_good_images

IMAGE = b"content does not matter: files are counted by name"


def lay_out(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGE)


def ignored(root):
    return count_ignored(root, find_good_images(root))


def test_a_plain_folder_ignores_what_is_not_an_image_and_what_is_hidden(tmp_path):
    lay_out(tmp_path, "a.png", "b/c.JPG", "notes.TXT", "b/list.txt", "b/raw.npy", "README", ".a.png", ".cache/x.bin")
    assert [path.name for path in find_good_images(tmp_path)] == ["a.png", "c.JPG"]
    counted = ignored(tmp_path)
    assert counted == {
        "hidden": 2,
        "not an image (.txt)": 2,
        "not an image (.npy)": 1,
        "not an image (no suffix)": 1,
    }
    assert list(counted.values()) == sorted(counted.values(), reverse=True)


def test_a_folder_of_images_alone_ignores_nothing(tmp_path):
    lay_out(tmp_path, "a.png", "b/c.jpg")
    assert ignored(tmp_path) == {}


def test_a_category_ignores_its_test_images_and_masks_by_folder(tmp_path):
    root = tmp_path / "bottle"
    lay_out(root, "train/good/0.png", "train/good/sub/1.png", "train/good/Thumbs.db", "train/bad/0.png")
    lay_out(root, "test/good/0.png", "test/crack/0.png", "ground_truth/crack/0_mask.png", "license.txt")
    assert ignored(root) == {
        "in test": 2,
        "in ground_truth": 1,
        "in train/bad": 1,
        "not an image (.db)": 1,
        "not an image (.txt)": 1,
    }


def test_images_that_a_split_keeps_for_testing_are_counted_as_such(tmp_path):
    names = [f"Data/Images/Normal/{number:03}.JPG" for number in range(11)]
    lay_out(tmp_path, *names, "Data/Images/Anomaly/000.JPG")
    assert ignored(tmp_path) == {"kept for testing by the dataset's split": 2, "in Data/Images/Anomaly": 1}


FOLDERS = ["@eaDir", ".ipynb_checkpoints", "lot1/Thumbs", "__MACOSX", "#recycle", "$RECYCLE.BIN", "lost+found"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_hidden_and_thumbnail_folders_are_left_out_and_counted(tmp_path, folder):
    lay_out(tmp_path, "a.png", f"{folder}/a.png", f"{folder}/deeper/a.png")
    assert find_good_images(tmp_path) == [tmp_path / "a.png"]
    assert list(ignored(tmp_path).values()) == [2]


def test_images_below_a_hidden_folder_are_found_where_it_is_named(tmp_path):
    lay_out(tmp_path, ".cache/thumbs/a.png")
    assert find_good_images(tmp_path / ".cache/thumbs") == [tmp_path / ".cache/thumbs/a.png"]


def test_what_was_ignored_is_put_into_words(tmp_path):
    lay_out(tmp_path, "a.png", "@eaDir/a.png", "@eaDir/b.png", "a.txt")
    counts = ignored(tmp_path)
    assert describe_ignored(counts) == "ignored 3 files: 2 in thumbnail and system folders, 1 not an image (.txt)"
    assert describe_ignored({}) == ""
