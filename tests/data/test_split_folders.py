"""The datasets that are split into folders, each as a small copy of its archive."""

import json

import pytest

from edgekd.data.layouts import find_good_images, find_validation_images, read_category, recognise_layout
from edgekd.errors import EdgekdError

RULES = [
    {"defect_name": "missing", "pixel_value": 255, "saturation_threshold": 40, "relative_saturation": False},
    {"defect_name": "dirt", "pixel_value": 254, "saturation_threshold": 0.5, "relative_saturation": True},
]


@pytest.fixture
def breakfast_box(tmp_path, write_images):
    root = tmp_path / "breakfast_box"
    write_images(root, "train/good/000.png", "train/good/001.png", "validation/good/000.png", "test/good/000.png")
    write_images(root, "test/logical_anomalies/000.png", "test/structural_anomalies/000.png")
    write_images(root, "ground_truth/logical_anomalies/000/000.png", "ground_truth/logical_anomalies/000/001.png")
    write_images(root, "ground_truth/structural_anomalies/000/000.png")
    (root / "defects_config.json").write_text(json.dumps(RULES))
    return root


@pytest.fixture
def product(tmp_path, write_images):
    """BTAD's third product: images and masks are bitmaps, and one mask is not."""
    root = tmp_path / "03"
    write_images(root, "train/ok/0000.bmp", "train/ok/0001.bmp", "test/ok/0000.bmp", "test/ko/0000.bmp")
    write_images(root, "test/ko/0001.bmp", "ground_truth/ko/0000.bmp", "ground_truth/ko/0001.png")
    return root


@pytest.fixture
def scans(tmp_path, write_images):
    root = tmp_path / "OCT2017"
    for kind in ("NORMAL", "CNV", "DME", "DRUSEN"):
        write_images(root, f"train/{kind}/{kind}-1-1.jpeg", f"train/{kind}/{kind}-1-2.jpeg")
        write_images(root, f"test/{kind}/{kind}-2-1.jpeg", f"val/{kind}/{kind}-3-1.jpeg")
    return root


def below(category, paths):
    return [path.relative_to(category.root).as_posix() for path in paths]


def test_loco_gives_a_folder_of_regions_for_each_defective_image(breakfast_box):
    category = read_category(breakfast_box)
    assert category.layout == recognise_layout(breakfast_box) == "mvtec_loco"
    assert [(image.defect, image.mask) for image in category.test] == [
        ("good", None),
        ("logical_anomalies", breakfast_box / "ground_truth/logical_anomalies/000"),
        ("structural_anomalies", breakfast_box / "ground_truth/structural_anomalies/000"),
    ]
    assert below(category, category.validation_good) == ["validation/good/000.png"]
    assert find_good_images(breakfast_box) == category.train_good
    assert find_validation_images(breakfast_box) == category.validation_good
    assert below(category, category.train_good) == ["train/good/000.png", "train/good/001.png"]
    assert category.saturation_rules[254].relative


def test_loco_without_its_config_says_where_to_get_it(breakfast_box):
    (breakfast_box / "defects_config.json").unlink()
    with pytest.raises(EdgekdError, match=r"defects_config\.json is missing.*copy it from the archive"):
        read_category(breakfast_box)


def test_a_loco_image_with_an_empty_folder_of_masks_is_named(breakfast_box):
    (breakfast_box / "ground_truth/structural_anomalies/000/000.png").unlink()
    with pytest.raises(EdgekdError, match=r"1 of 1 masks of defect 'structural_anomalies'.*structural_anomalies/000:"):
        read_category(breakfast_box)


def test_btad_pairs_masks_by_stem_whatever_their_suffix(product):
    category = read_category(product)
    assert (category.name, category.layout) == ("03", "btad")
    assert [image.defect for image in category.test] == ["good", "ko", "ko"]
    assert below(category, [image.mask for image in category.test[1:]]) == [
        "ground_truth/ko/0000.bmp",
        "ground_truth/ko/0001.png",
    ]
    assert below(category, find_good_images(product)) == ["train/ok/0000.bmp", "train/ok/0001.bmp"]


def test_a_missing_mask_of_btad_is_named_as_btad_would_name_it(product):
    (product / "ground_truth/ko/0000.bmp").unlink()
    with pytest.raises(EdgekdError, match=r"1 of 2 masks of defect 'ko'.*ground_truth/ko/0000\.png"):
        read_category(product)


def test_retinal_oct_trains_on_normal_scans_alone_and_has_no_masks(scans):
    category = read_category(scans)
    assert category.layout == "retinal_oct"
    assert below(category, category.train_good) == ["train/NORMAL/NORMAL-1-1.jpeg", "train/NORMAL/NORMAL-1-2.jpeg"]
    assert find_good_images(scans) == category.train_good
    assert [image.defect for image in category.test] == ["good", "CNV", "DME", "DRUSEN"]
    assert below(category, [category.test[0].path]) == ["test/NORMAL/NORMAL-2-1.jpeg"]
    assert not category.has_masks


def test_what_visas_own_script_writes_is_read_as_mvtec_ad(tmp_path, write_images):
    root = tmp_path / "candle"
    write_images(root, "train/good/0000.JPG", "test/good/0001.JPG", "test/bad/000.JPG", "ground_truth/bad/000.png")
    category = read_category(root)
    assert category.layout == "mvtec_ad"
    assert below(category, [category.test[1].mask]) == ["ground_truth/bad/000.png"]


@pytest.mark.parametrize(
    ("fixture", "empty", "message"),
    [
        ("breakfast_box", "test/logical_anomalies", "no image in .*test/logical_anomalies"),
        ("breakfast_box", "train/good", "no image in .*train/good"),
        ("product", "test/ok", "no image in .*test/ok"),
        ("product", "train/ok", "no image in .*train/ok"),
        ("scans", "test/DME", "no image in .*test/DME"),
    ],
)
def test_an_empty_folder_is_named(fixture, empty, message, request):
    root = request.getfixturevalue(fixture)
    for path in (root / empty).iterdir():
        path.unlink()
    with pytest.raises(EdgekdError, match=message) as raised:
        read_category(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("fixture", "good"), [("product", "ok"), ("scans", "NORMAL")])
def test_a_dataset_without_its_folder_of_good_images_is_told_by_its_own_names(fixture, good, request):
    root = request.getfixturevalue(fixture)
    (root / "train" / good).rename(root / "train" / "elsewhere")
    with pytest.raises(EdgekdError, match=f"no train/{good}"):
        find_good_images(root)
    (root / "train" / "elsewhere").rename(root / "train" / good)
    (root / "test" / good).rename(root / "test" / "elsewhere")
    with pytest.raises(EdgekdError, match=f"no folder {good}: expected <category>/test/{good}"):
        read_category(root)


@pytest.mark.parametrize(("fixture", "part"), [("product", "test"), ("scans", "test"), ("breakfast_box", "test")])
def test_the_test_folder_itself_is_not_trained_on(fixture, part, request):
    with pytest.raises(EdgekdError, match="name the folder of good images"):
        find_good_images(request.getfixturevalue(fixture) / part)


def test_the_root_of_a_dataset_names_its_categories(product, breakfast_box):
    for read in (find_good_images, read_category):
        with pytest.raises(EdgekdError, match="several categories: name one of them, 03, breakfast_box"):
            read(product.parent)


def test_a_folder_that_is_not_there_is_no_category(tmp_path):
    for read in (find_good_images, read_category):
        with pytest.raises(EdgekdError, match=r"no such folder: .*nowhere"):
            read(tmp_path / "nowhere")
