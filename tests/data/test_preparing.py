"""Views: a point of the frame is where the assembled map has it, whatever lies between; and nothing ignored leaks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekd.data.alignment import encode_reference
from edgekd.data.preparing import FILL, assemble, frame_score, frame_scores, place, prepare, prepare_into
from edgekd.data.resizing import resize_image
from edgekd.data.view_geometry import geometry_of, mask_polygons, pixels_looked_at
from edgekd.errors import ImageError
from edgekd.preprocessing import Preprocessing
from edgekd.view import Alignment, View

HEIGHT, WIDTH = 240, 400


def scene(height=HEIGHT, width=WIDTH, seed=5):
    """A frame with structure at several scales, as a part has it."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 9, 21):
        noise = rng.uniform(0, 1, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image / 3 * 200 + 20, 0, 255).astype(np.uint8)


def brightness(frames):
    """A stand-in for a network whose map is the image itself."""
    return frames.mean(axis=3, dtype=np.float32)


def moved(image, x, y, degrees):
    """The frame as the camera has it where the part lies shifted and turned; and the matrix of it."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    matrix[:, 2] += (x, y)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), matrix


def peak_in_frame(assembled, height=HEIGHT, width=WIDTH):
    """The centre of the highest pixels of a map, in pixels of the frame."""
    level = np.nanmax(assembled) * 0.8
    rows, columns = np.nonzero(np.nan_to_num(assembled, nan=-1) >= level)
    scale = height / assembled.shape[0], width / assembled.shape[1]
    return (columns.mean() + 0.5) * scale[1] - 0.5, (rows.mean() + 0.5) * scale[0] - 0.5


ALIGN = Alignment(encode_reference(scene()), 30, 8)
VIEWS = {
    "stretch": View(),
    "letterbox": View(fit="letterbox"),
    "crop": View((HEIGHT, WIDTH), crop=(150, 60, 210, 170)),
    "crop, letterbox": View((HEIGHT, WIDTH), crop=(150, 60, 210, 110), fit="letterbox"),
    "tiles": View(tiles=(2, 3), overlap=0.2),
    "tiles, letterbox": View(tiles=(3, 2), overlap=0.5, fit="letterbox"),
    "align": View((HEIGHT, WIDTH), align=ALIGN),
    "all": View(
        (HEIGHT, WIDTH),
        crop=(100, 40, 290, 190),
        ignore=(((110, 50), (140, 50), (140, 80)),),
        fit="letterbox",
        tiles=(2, 2),
        overlap=0.25,
        align=ALIGN,
    ),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("point", [(210, 110), (300, 160), (255, 136)])
def test_a_point_of_the_frame_is_found_where_it_is(name, point):
    view = VIEWS[name]
    preprocessing = Preprocessing(128, 160, view=view)
    image = scene() // 2
    if view.align is not None:
        image, matrix = moved(scene() // 2, 9, -6, 3.0)
        point = tuple(matrix @ (*point, 1))
    image = cv2.circle(image.copy(), tuple(round(side) for side in point), 4, (255, 255, 255), -1)
    frames, placement = prepare(image, preprocessing)
    assert frames.shape == (view.count, 128, 160, 3)
    found = peak_in_frame(assemble(brightness(frames), placement, preprocessing))
    assert np.hypot(found[0] - point[0], found[1] - point[1]) < 2.0


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize(("tiles", "overlap"), [((1, 1), 0), ((2, 2), 0), ((2, 3), 0.15), ((3, 3), 0.5), ((5, 4), 0.3)])
def test_the_tiles_of_a_smooth_frame_give_it_back_without_a_step(fit, tiles, overlap):
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = (40 + 150 * (down / HEIGHT) ** 2 + 40 * across / WIDTH).astype(np.uint8)
    preprocessing = Preprocessing(96, 96, view=View(fit=fit, tiles=tiles, overlap=overlap))
    frames, placement = prepare(np.repeat(smooth[:, :, None], 3, 2), preprocessing)
    assembled = assemble(brightness(frames), placement, preprocessing)
    expected = cv2.resize(smooth.astype(np.float32), assembled.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(assembled - expected).max() < 2.5


def test_tiles_that_disagree_are_blended_over_their_overlap():
    preprocessing = Preprocessing(64, 64, view=View(tiles=(1, 2), overlap=0.4))
    maps = np.stack([np.full((64, 64), level, np.float32) for level in (1, 3)])
    row = assemble(maps, place(scene(), preprocessing), preprocessing)[10]
    assert row[0] == 1
    assert row[-1] == 3
    assert np.abs(np.diff(row)).max() < 0.15
    assert (np.diff(row) >= -1e-6).all()


def test_tiles_have_one_size_and_cover_what_is_looked_at():
    geometry = geometry_of(Preprocessing(64, 64, view=View(tiles=(3, 4), overlap=0.1)), 241, 399)
    assert len({(tile.height, tile.width) for tile in geometry.tiles}) == 1
    covered = np.zeros((241, 399), np.uint8)
    for tile in geometry.tiles:
        tile.of(covered)[:] = 1
    assert covered.all()


def test_a_letterbox_keeps_the_shape_and_reflects_the_frame_in_its_bands():
    preprocessing = Preprocessing(64, 64, view=View(fit="letterbox"))
    image = scene(100, 200)
    frames, placement = prepare(image, preprocessing)
    inner = resize_image(image, 32, 64)
    assert (frames[0, 16:48] == inner).all()
    assert (frames[0, :16] == inner[16:0:-1]).all()
    maps = np.arange(64 * 64, dtype=np.float32).reshape(1, 64, 64)
    assert (assemble(maps, placement, preprocessing) == maps[0, 16:48]).all()


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_a_whole_frame_that_fits_costs_nothing_and_its_map_is_the_networks_own(fit):
    preprocessing = Preprocessing(96, 96, view=View(fit=fit))
    image = scene(96, 96)
    frames, placement = prepare(image, preprocessing)
    assert np.shares_memory(frames, image)
    maps = np.zeros((1, 96, 96), np.float32)
    assert np.shares_memory(assemble(maps, placement, preprocessing), maps)
    square = scene(150, 150)
    assert (prepare(square, preprocessing)[0] == prepare(square, Preprocessing(96, 96))[0]).all()


IGNORING = {
    "ignore": View((HEIGHT, WIDTH), ignore=(((100, 40), (260, 60), (180, 200)),)),
    "look at": View((HEIGHT, WIDTH), look_at=(((20, 20), (380, 30), (330, 220), (50, 200)),)),
    "crop": View((HEIGHT, WIDTH), crop=(100, 40, 200, 150)),
    "tiles": View((HEIGHT, WIDTH), ignore=(((100, 40), (260, 60), (180, 200)),), tiles=(2, 2), overlap=0.3),
}


@pytest.mark.parametrize("name", IGNORING)
def test_nothing_of_what_is_ignored_reaches_the_network(name):
    view = IGNORING[name]
    preprocessing = Preprocessing(64, 80, view=view)
    image = scene()
    hidden = np.ones((HEIGHT, WIDTH), bool)
    looked_at = pixels_looked_at(view)
    if view.crop is not None:
        x, y, width, height = view.crop
        hidden[y : y + height, x : x + width] = False
    else:
        hidden = looked_at == 0
    other = image.copy()
    other[hidden] = np.random.default_rng(0).integers(0, 256, (int(hidden.sum()), 3))
    (frames, placement), (same, _) = prepare(image, preprocessing), prepare(other, preprocessing)
    assert (frames == same).all()
    assembled = assemble(brightness(frames), placement, preprocessing)
    ignored = cv2.resize(hidden.astype(np.float32), assembled.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.isnan(assembled[ignored > 0.99]).all()
    assert np.isfinite(assembled[ignored < 0.01]).all()


@pytest.mark.parametrize(
    "view", [*VIEWS.values(), *IGNORING.values()], ids=[*VIEWS, *map("{}, ignoring".format, IGNORING)]
)
def test_an_array_is_the_same_frame_however_it_lies_in_memory(view):
    preprocessing = Preprocessing(64, 80, view=view)
    frame = scene()
    expected, _ = prepare(frame, preprocessing)
    turned = np.rot90(np.ascontiguousarray(np.rot90(frame)), -1)
    for same in (
        np.asfortranarray(frame),
        turned,
        np.ascontiguousarray(frame[:, ::-1])[:, ::-1],
        np.repeat(frame, 2, 0)[::2],
    ):
        assert np.array_equal(same, frame)
        assert np.array_equal(prepare(same, preprocessing)[0], expected)


def test_what_is_ignored_is_filled_with_grey():
    view = View((64, 64), ignore=(((0, 0), (31, 0), (31, 63), (0, 63)),))
    frames, _ = prepare(scene(64, 64), Preprocessing(64, 64, view=view))
    assert (frames[0, :, :32] == FILL).all()
    assert (frames[0, :, 32:] == scene(64, 64)[:, 32:]).all()


def test_the_score_is_the_highest_of_the_tiles_that_look_at_something():
    view = View((100, 100), ignore=(((0, 0), (49, 0), (49, 49), (0, 49)),), tiles=(2, 2))
    preprocessing = Preprocessing(32, 32, view=view)
    scores = np.array([9, 1, 3, 2, 8, 4, 2, 1], np.float32)
    assert frame_score(scores[:4], preprocessing) == 3
    assert list(frame_scores(scores, preprocessing)) == [3, 4]
    assert np.isnan(frame_score(np.array([1, np.nan, 2, 2], np.float32), preprocessing))


def test_what_is_looked_at_has_a_place_in_the_map_however_small_it_is():
    """A pixel of the map is 16 x 16 of the frame's here: less than half of any of them is looked at."""
    view = View(frame=(1024, 1024), look_at=(((500, 500), (506, 500), (506, 506), (500, 506)),))
    preprocessing = Preprocessing(64, 64, view=view)
    frames, placement = prepare(np.zeros((1024, 1024, 3), np.uint8), preprocessing)
    found = assemble(np.ones((len(frames), 64, 64), np.float32), placement, preprocessing)
    assert np.argwhere(np.isfinite(found)).tolist() == [[31, 31]]


def test_a_frame_of_another_size_than_the_view_is_for_is_refused():
    preprocessing = Preprocessing(64, 64, view=IGNORING["crop"])
    with pytest.raises(ImageError, match="the frame is 200 x 100 pixels, and the view is for frames of 400 x 240"):
        prepare(scene(100, 200), preprocessing)


@pytest.mark.parametrize(("x", "y", "degrees"), [(0, 0, 0), (14.3, -8.6, 0), (-20, 11, 5.5), (3, 25, -7)])
@pytest.mark.parametrize(("height", "width"), [(HEIGHT, WIDTH), (384, 512)])  # The second suits Fourier transforms.
def test_a_part_that_lies_elsewhere_is_measured(x, y, degrees, height, width):
    part = scene(height, width)
    preprocessing = Preprocessing(64, 64, view=View((height, width), align=Alignment(encode_reference(part), 30, 8)))
    image, matrix = moved(part, x, y, degrees)
    transform = place(image, preprocessing).transform
    assert np.abs(transform @ (200, 120, 1) - matrix @ (200, 120, 1)).max() < 0.7
    assert np.abs(transform @ (60, 60, 1) - matrix @ (60, 60, 1)).max() < 1.2


def test_a_part_that_lies_too_far_from_the_reference_is_refused():
    preprocessing = Preprocessing(64, 64, view=View((HEIGHT, WIDTH), align=Alignment(ALIGN.reference, 10, 8)))
    with pytest.raises(ImageError, match=r"shifted by 2\d\.\d pixels and turned by [+-]\d\.\d degrees.*at most 10"):
        prepare(moved(scene(), 20, 10, 1)[0], preprocessing)


def test_an_image_of_something_else_is_not_aligned():
    preprocessing = Preprocessing(64, 64, view=View((HEIGHT, WIDTH), align=ALIGN))
    with pytest.raises(ImageError, match=r"does not match the reference|shifted by"):
        prepare(scene(seed=77), preprocessing)
    with pytest.raises(ImageError, match="does not match the reference"):
        prepare(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), preprocessing)


def test_a_reference_is_small_whatever_the_frame():
    noise = np.random.default_rng(3).integers(0, 256, (1944, 2592, 3), np.uint8)
    assert len(encode_reference(noise)) < 100_000


@pytest.mark.parametrize("name", ["crop", "all"])
def test_a_map_that_is_not_finite_is_not_taken_for_what_is_not_looked_at(name):
    preprocessing = Preprocessing(64, 80, view=VIEWS[name])
    frames, placement = prepare(scene(), preprocessing)
    maps = brightness(frames)
    maps[0, 30, 30] = np.nan
    assert np.isinf(assemble(maps, placement, preprocessing)).mean() > 0.2


def test_the_frames_of_a_slot_are_written_into_it():
    preprocessing = Preprocessing(64, 80, view=VIEWS["tiles, letterbox"])
    slot = np.zeros((6, 64, 80, 3), np.uint8)
    prepare_into(scene(), slot, preprocessing)
    assert (slot == prepare(scene(), preprocessing)[0]).all()


def test_the_polygons_of_a_mask_cover_it_holes_left_out():
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (50, 60), 40, 1, -1)
    cv2.circle(mask, (50, 60), 20, 0, -1)
    cv2.rectangle(mask, (110, 20), (150, 100), 1, -1)
    view = View((120, 160), ignore=mask_polygons(mask > 0))
    ignored = pixels_looked_at(view) == 0
    assert np.mean(ignored != (mask > 0)) < 0.02
    assert not ignored[60, 50]
    assert ignored[60, 130]
