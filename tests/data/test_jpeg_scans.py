import io
import re

import numpy as np
import pytest
from PIL import Image

from edgekd.data.images import read_image
from edgekd.data.jpeg_scans import scans_are_missing
from edgekd.errors import ImageError

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "progressive, grey": {"progressive": True, "grey": True},
    "restart markers": {"restart_marker_blocks": 2},
    "progressive, halved colours": {"progressive": True, "subsampling": 2},
}


def jpeg(grey=False, **options):
    file = io.BytesIO()
    Image.fromarray(IMAGE[:, :, 0] if grey else IMAGE).save(file, "JPEG", quality=80, **options)
    return file.getvalue()


def places_of_scans(data):
    return [found.start() for found in re.finditer(rb"\xff\xda", data)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_jpeg_lacks_no_scan(kind):
    assert not scans_are_missing(jpeg(**KINDS[kind]))


@pytest.mark.parametrize("kind", ["progressive", "progressive, grey", "progressive, halved colours"])
def test_a_progressive_jpeg_that_ends_after_any_scan_but_its_last_is_cut_off(tmp_path, kind):
    data = jpeg(**KINDS[kind])
    starts = places_of_scans(data)
    assert len(starts) >= 6

    for start in starts[1:]:
        path = tmp_path / "part.jpg"
        path.write_bytes(data[:start] + b"\xff\xd9")
        with pytest.raises(ImageError, match="cut off"):
            read_image(path)


def test_a_colour_whose_only_scan_is_missing_is_missed():
    data = jpeg()
    (start,) = places_of_scans(data)
    # One component instead of three, as a writer has it that stores them one after another.
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    first = data[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + data[start + 2 + length :]

    assert scans_are_missing(first)


def test_a_preview_inside_and_what_follows_the_end_do_not_count(tmp_path):
    preview = jpeg(progressive=True)
    preview = preview[: places_of_scans(preview)[2]]
    data = jpeg(progressive=True)
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    path = tmp_path / "part.jpg"
    path.write_bytes(data[:2] + segment + data[2:] + preview)

    assert read_image(path).shape == IMAGE.shape
