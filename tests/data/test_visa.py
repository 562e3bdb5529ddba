import pytest

from edgekd.data.layouts import find_good_images, read_category, recognise_layout
from edgekd.errors import EdgekdError

NORMAL, ANOMALY, MASKS = "candle/Data/Images/Normal", "candle/Data/Images/Anomaly", "candle/Data/Masks/Anomaly"
ROWS = [
    "object,split,label,image,mask",
    f"candle,train,normal,{NORMAL}/0002.JPG,",
    f"candle,train,normal,{NORMAL}/0000.JPG,",
    f"candle,test,normal,{NORMAL}/0001.JPG,",
    f"candle,test,anomaly,{ANOMALY}/000.JPG,{MASKS}/000.png",
    "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
]


def write_split(root, rows):
    (root / "split_csv").mkdir(exist_ok=True)
    (root / "split_csv/1cls.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def candle(tmp_path, write_images):
    """A category as the archive holds it, without the file that splits it."""
    write_images(tmp_path, *(f"{NORMAL}/{number:04}.JPG" for number in range(12)))
    write_images(tmp_path, f"{ANOMALY}/000.JPG", f"{ANOMALY}/001.JPG")
    write_images(tmp_path, f"{MASKS}/000.png", f"{MASKS}/001.png")
    return tmp_path / "candle"


def names(paths):
    return [path.name for path in paths]


def test_the_archives_file_splits_a_category(candle):
    write_split(candle.parent, ROWS)
    category = read_category(candle)
    assert (category.name, category.layout, recognise_layout(candle)) == ("candle", "visa", "visa")
    assert category.train_good == [candle / "Data/Images/Normal/0000.JPG", candle / "Data/Images/Normal/0002.JPG"]
    assert find_good_images(candle) == category.train_good
    assert [(image.path.name, image.defect) for image in category.test] == [
        ("0001.JPG", "good"),
        ("000.JPG", "anomaly"),
    ]
    assert category.test[1].mask == candle / "Data/Masks/Anomaly/000.png"


def test_a_category_named_from_inside_its_folder_is_split_the_same_way(candle, monkeypatch):
    write_split(candle.parent, ROWS)
    monkeypatch.chdir(candle)
    assert names(find_good_images(type(candle)("."))) == ["0000.JPG", "0002.JPG"]


def test_without_the_file_every_tenth_good_image_is_a_test_image(candle):
    category = read_category(candle)
    assert [image.path.name for image in category.test] == ["0000.JPG", "0010.JPG", "000.JPG", "001.JPG"]
    assert names(category.train_good) == [f"{number:04}.JPG" for number in range(12) if number not in (0, 10)]
    assert category.has_masks


def test_without_any_masks_a_category_is_read_without_them(candle):
    for mask in (candle / "Data/Masks/Anomaly").iterdir():
        mask.unlink()
    (candle / "Data/Masks/Anomaly").rmdir()
    (candle / "Data/Masks").rmdir()
    assert not read_category(candle).has_masks


def test_a_missing_mask_is_named(candle):
    (candle / "Data/Masks/Anomaly/001.png").unlink()
    with pytest.raises(EdgekdError, match=r"1 of 2 masks of defect 'Anomaly'.*Anomaly/001\.png"):
        read_category(candle)


@pytest.mark.parametrize("part", ["Normal", "Anomaly"])
def test_an_empty_or_missing_folder_of_images_is_named(candle, part):
    folder = candle / "Data/Images" / part
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(EdgekdError, match=f"no image in .*{part}"):
        read_category(candle)
    folder.rmdir()
    with pytest.raises(EdgekdError, match=f"no such folder: .*{part}"):
        read_category(candle)


@pytest.mark.parametrize("missing", ["Data/Images/Normal/0002.JPG", "Data/Masks/Anomaly/000.png"])
def test_a_file_that_the_split_names_but_is_not_there_is_named(candle, missing):
    write_split(candle.parent, ROWS)
    (candle / missing).unlink()
    with pytest.raises(EdgekdError, match=rf"1 of 5 files that .*1cls\.csv names are missing.*{missing}"):
        read_category(candle)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["object,split,image", "candle,train,a"], "lacks columns: expected object, split, label, image, mask"),
        ([ROWS[0], ROWS[5]], "names no image of 'candle': it names pcb1"),
        ([ROWS[0], *ROWS[3:5]], "names no good images to train on of 'candle'"),
        ([ROWS[0], ROWS[1], ROWS[4]], "names no good test images"),
        (ROWS[:4], "names no defective test images"),
        ([*ROWS[:4], f"candle,test,anomaly,{ANOMALY}/000.JPG,"], r"no mask for the defective image .*000\.JPG"),
        ([*ROWS, f"candle,val,normal,{NORMAL}/0003.JPG,"], "into 'val': expected train or test"),
        ([*ROWS, "candle,train,normal,pcb1/Data/Images/Normal/0.JPG,"], "path that begins with candle/"),
        ([*ROWS, "candle,train,normal,candle/../../secret.png,"], "path that begins with candle/"),
    ],
)
def test_a_split_that_is_wrong_is_refused_in_one_line(candle, rows, message):
    write_split(candle.parent, rows)
    with pytest.raises(EdgekdError, match=message) as raised:
        read_category(candle)
    assert "\n" not in str(raised.value)


def test_folders_inside_the_archive_are_not_trained_on(candle):
    with pytest.raises(EdgekdError, match="Normal beside Anomaly"):
        find_good_images(candle / "Data/Images")
    with pytest.raises(EdgekdError, match="plain folder of good images"):
        find_good_images(candle / "Data")
    with pytest.raises(EdgekdError, match="several categories: name one of them, candle"):
        find_good_images(candle.parent)
