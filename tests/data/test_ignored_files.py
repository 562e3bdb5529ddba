from edgekd.data.ignored_files import count_ignored
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
