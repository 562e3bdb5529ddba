import cv2
import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.data.textures import Textures
from edgekd.errors import ImageError


@pytest.fixture
def paths(elpv_images):
    return elpv_images[:3]


def test_a_texture_is_the_image_resized_by_the_runs_rule(paths):
    textures = Textures(paths, (64, 96), "area")
    assert len(textures) == 3
    assert np.array_equal(textures[1], resize_image(read_image(paths[1]), 64, 96, "area"))


def test_textures_are_read_once_as_far_as_they_fit_and_every_time_beyond(tmp_path):
    paths = [tmp_path / f"{value}.png" for value in (10, 20, 30)]
    for path in paths:
        assert cv2.imwrite(str(path), np.full((20, 20, 3), int(path.stem), np.uint8))
    textures = Textures(paths, (32, 48), most_bytes=2 * 32 * 48 * 3 + 5)
    for index, value in enumerate((10, 20, 30)):
        assert (textures[index] == value).all()
    for path in paths:
        assert cv2.imwrite(str(path), np.full((20, 20, 3), 200, np.uint8))
    assert [int(textures[index][0, 0, 0]) for index in range(3)] == [10, 20, 200]


def test_a_texture_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image at all")
    with pytest.raises(ImageError, match=r"broken\.png cannot be read as an image"):
        Textures([tmp_path / "broken.png"], (64, 64))[0]
