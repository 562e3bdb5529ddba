from __future__ import annotations

import numpy as np

from edgekd.verdicts.frozen import FrozenCamera, digest


def test_one_pixel_tells_frames_apart_and_so_does_where_it_is() -> None:
    plain = np.full((40, 52, 3), 100, np.uint8)
    changed, elsewhere = plain.copy(), plain.copy()
    changed[7, 9, 1] = elsewhere[8, 9, 1] = 101
    digests = {digest(image) for image in (plain, changed, elsewhere, np.roll(changed, 1, axis=1))}
    assert len(digests) == 4
    assert digest(plain) == digest(plain.copy())


def test_the_same_frame_again_and_again_is_a_failure_until_it_changes() -> None:
    camera = FrozenCamera(3)
    found = [camera.failure(seen) for seen in (b"a", b"a", b"b", b"b", b"b", b"b", b"c")]
    assert found[:4] == [None] * 4
    assert found[4] == "frozen: the same frame 3 times in a row: check the camera and its cable"
    assert found[5] == "frozen: the same frame 4 times in a row: check the camera and its cable"
    assert found[6] is None
