import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.errors import EdgekdError, ImageError, MachineError
from edgekd.runner import open_source, sources
from edgekd.runner.sources import _camera_frames, image_frames

LEVELS = (20, 80, 140, 200)


@pytest.fixture
def video(tmp_path):
    """Four grey frames, each of its own brightness."""
    path = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    assert writer.isOpened()
    for level in LEVELS:
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_frames_in_order(video):
    frames = list(open_source(str(video)).frames)
    assert [frame.name for frame in frames] == [f"line.avi#{number:06d}" for number in range(4)]
    images = [frame.load() for frame in frames]  # Read after the video has ended: each keeps its own.
    assert all(image.shape == (48, 64, 3) and image.dtype == np.uint8 for image in images)
    assert [round(float(image.mean())) for image in images] == pytest.approx(LEVELS, abs=2)


def test_a_source_says_how_many_frames_it_has_where_that_is_known(video, good_folder):
    image = next(good_folder.iterdir())
    assert [open_source(str(each)).length for each in (video, good_folder, image)] == [4, 24, 1]


@pytest.mark.parametrize("declared", [0.0, -9.223372036854776e18])
def test_a_video_that_declares_no_number_of_frames_has_no_known_length(declared, video, monkeypatch):
    class Declaring:
        def get(self, name):
            return declared

    monkeypatch.setattr(sources, "_opened", lambda capture, name: Declaring())
    assert open_source(str(video)).length is None


def test_a_video_that_is_damaged_says_so(tmp_path):
    path = tmp_path / "broken.avi"
    path.write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(EdgekdError, match=r"broken\.avi"):
        list(open_source(str(path)).frames)


def test_a_camera_that_stops_ends_in_an_error(video):
    """A video stands for the camera: both stop giving frames in the same way."""
    given = _camera_frames(cv2.VideoCapture(str(video)), "camera 0")
    assert [next(given).name for _ in range(4)] == [f"camera 0#{number:06d}" for number in range(4)]
    with pytest.raises(ImageError, match="camera 0 delivers no more frames"):
        next(given).load()
    with pytest.raises(MachineError, match="camera 0 delivers no more frames: check its cable and power"):
        next(given)


@pytest.mark.parametrize("container", [("avi", "MJPG"), ("mkv", "MJPG")])
def test_a_video_with_fewer_frames_than_it_declares_ends_in_an_error(container, tmp_path):
    suffix, codec = container
    path = tmp_path / f"line.{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 5, (64, 48))
    for _ in range(20):
        writer.write(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    assert len(list(open_source(path).frames)) == 20
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    *frames, last = open_source(path).frames
    assert 5 < len(frames) < 15
    assert last.name == f"line.{suffix}#{len(frames):06d}"
    with pytest.raises(ImageError, match=rf"{len(frames)} of 20 frames that line\.{suffix} declares could be read"):
        last.load()


def test_a_folder_gives_its_images_by_their_paths_in_it(good_folder):
    (good_folder / "deeper").mkdir()
    (good_folder / "000.png").rename(good_folder / "deeper" / "a.png")
    (good_folder / "note.txt").write_text("no image")
    frames = list(open_source(str(good_folder)).frames)
    assert len(frames) == 24
    assert frames[0].name == "001.png"
    assert frames[-1].name == "deeper/a.png"
    assert frames[0].load().shape == (96, 96, 3)


def test_what_is_left_out_of_a_folder_is_logged_by_its_reason(good_folder, caplog):
    caplog.set_level("INFO", "edgekd")
    assert len(list(open_source(good_folder).frames)) == 24
    assert caplog.messages == []
    for name in (".ipynb_checkpoints", "@eaDir"):
        (good_folder / name).mkdir()
        (good_folder / name / "a.png").write_bytes(b"")
    (good_folder / "a.heic").write_bytes(b"")
    assert len(list(open_source(good_folder).frames)) == 24
    reasons = "1 hidden, 1 in thumbnail and system folders, 1 not an image (.heic)"
    assert caplog.messages == [f"found 24 images; ignored 3 files: {reasons}"]


def test_files_of_16_bits_are_read_by_the_depth_that_is_given(tmp_path):
    values = np.arange(400, dtype=np.uint16).reshape(20, 20)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    for source in (tmp_path, tmp_path / "a.png"):
        (frame,) = open_source(source, 10).frames
        assert np.array_equal(frame.load()[:, :, 0], values >> 2)
    (frame,) = image_frames([tmp_path / "a.png"], 9)
    assert np.array_equal(frame.load()[:, :, 0], values >> 1)


def test_images_are_read_only_when_they_are_loaded(good_folder):
    frames = list(open_source(str(good_folder)).frames)
    (good_folder / "003.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"003\.png is empty"):
        frames[3].load()
    frames[4].load()


def test_a_single_image_is_a_source(good_folder):
    (frame,) = open_source(str(good_folder / "005.png")).frames
    assert frame.name == "005.png"
    assert frame.load().shape == (96, 96, 3)


def test_image_frames_are_named_by_their_paths(good_folder):
    path = good_folder / "002.png"
    (frame,) = image_frames([path])
    assert frame.name == str(path)


@pytest.mark.parametrize("name", ["gone", "gone.mp4", "gone.png"])
def test_what_is_not_there_is_named(tmp_path, name):
    with pytest.raises(EdgekdError, match=f"no such folder, image, video or camera: .*{name}"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["20260301140000", "\N{SUPERSCRIPT TWO}"])
def test_digits_that_are_no_cameras_number_are_a_name_that_is_not_there(name):
    with pytest.raises(EdgekdError, match="no such folder, image, video or camera: ") as refused:
        open_source(name)
    assert "\n" not in str(refused.value)


def test_an_empty_folder_and_a_missing_camera_are_named(tmp_path):
    with pytest.raises(EdgekdError, match="no image in"):
        open_source(str(tmp_path))
    with pytest.raises(EdgekdError, match="cannot read from camera 97"):
        open_source("97")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no named pipes in folders")
@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
def test_what_is_not_a_file_is_refused_as_a_source_and_is_an_error_in_a_folder(kind, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # The path of a socket may have 107 bytes.
    folder = Path("parts")
    folder.mkdir()
    path = folder / name
    listener = socket.socket(socket.AF_UNIX)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        listener.bind(str(path))
    else:
        path.symlink_to("/dev/tty")
    with listener, pytest.raises(EdgekdError, match=rf"{name} is {kind}, not a folder, an image or a video"):
        open_source(path)
    if name == "a.png":
        (frame,) = open_source(folder).frames
        with pytest.raises(ImageError, match=f"is {kind}, not an image file"):
            frame.load()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become someone else")
def test_a_folder_that_may_not_be_read_is_an_error_behind_the_images(good_folder):
    (good_folder / "lot2").mkdir(mode=0)
    for folder in (good_folder, *good_folder.parents[:-2]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        *images, last = open_source(good_folder).frames
        with pytest.raises(EdgekdError, match=r"cannot read the folder .*lot2: Permission denied"):
            open_source(good_folder / "lot2")
    finally:
        os.seteuid(0)
    assert len(images) == 24
    assert last.name == "lot2"
    with pytest.raises(ImageError, match="lot2: Permission denied; what is in it was not inspected"):
        last.load()
