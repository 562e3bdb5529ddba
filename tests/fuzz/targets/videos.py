"""Video files: written by OpenCV, then damaged; every frame must be accounted for."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from edgekd.data.images import as_bgr8
from edgekd.errors import EdgekdError
from edgekd.runner.sources import open_source
from tests.fuzz.case import Case, Target
from tests.fuzz.mutations import Draw, mutated
from tests.fuzz.seeds import part

FRAMES = 12
CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "XVID", ".mov": "MJPG", ".webm": "VP80"}
MOST_READ = 500  # A damaged file may hold no end.


@functools.cache
def valid_videos() -> dict[str, bytes]:
    """A short video in each container that this build of OpenCV writes."""
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix, codec in CODECS.items():
            path = Path(folder, f"video{suffix}")
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
            for number in range(FRAMES):
                writer.write(np.ascontiguousarray(np.roll(part(48)[:, :48].repeat(2, 1)[:, :64], number, 1)))
            writer.release()
            if path.is_file() and path.stat().st_size > 1000:
                files[suffix] = path.read_bytes()
    return files


@st.composite
def video_cases(draw: Draw) -> Case:
    files = valid_videos()
    suffix = draw(st.sampled_from(sorted(files)))
    return Case({f"video{suffix}": draw(mutated([files[suffix]]))})


def run_video(values: Mapping[str, Any], folder: Path) -> None:
    (path,) = folder.iterdir()
    for frame in islice(open_source(path).frames, MOST_READ):
        try:
            as_bgr8(frame.load(), frame.name)
        except EdgekdError:  # That frame's ERROR; the video goes on.
            continue


TARGETS = (Target("videos", "runner/sources.py", lambda seeds: video_cases(), run_video, smoke=10),)
