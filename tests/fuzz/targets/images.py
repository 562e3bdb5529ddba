"""Image files of every format that OpenCV may take for one, masks, and arrays from memory."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from edgekd.data.images import as_bgr8, decode_image, read_image, read_pixels
from edgekd.data.masks import marked_pixels, read_mask
from edgekd.data.view_geometry import mask_polygons, pixels_looked_at
from edgekd.errors import EdgekdError
from edgekd.view import View
from tests.fuzz.case import Case, Target, WrongAnswerError
from tests.fuzz.mutations import Draw, cut_short, mutated, mutated_png
from tests.fuzz.seeds import part

TIFF = cv2.IMWRITE_TIFF_COMPRESSION
# A format with its parameters; the checksums of a PNG find any flipped bit in its pixels.
FORMATS: dict[str, tuple[str, tuple[int, ...], str]] = {
    "png": (".png", (), "colour"),
    "png_grey": (".png", (cv2.IMWRITE_PNG_STRATEGY, 3), "grey"),
    "png_16": (".png", (), "grey16"),
    "png_alpha": (".png", (), "alpha"),
    "jpeg": (".jpg", (), "colour"),
    "jpeg_grey": (".jpg", (cv2.IMWRITE_JPEG_QUALITY, 60), "grey"),
    "jpeg_progressive": (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "colour"),
    "jpeg_restart": (".jpg", (cv2.IMWRITE_JPEG_RST_INTERVAL, 2), "colour"),
    "bmp": (".bmp", (), "colour"),
    "bmp_grey": (".bmp", (), "grey"),
    "webp": (".webp", (cv2.IMWRITE_WEBP_QUALITY, 80), "colour"),
    "webp_lossless": (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101), "alpha"),
    "tiff": (".tif", (TIFF, 1), "colour"),
    "tiff_lzw": (".tif", (TIFF, 5), "colour"),
    "tiff_deflate": (".tif", (TIFF, 8), "grey16"),
    "tiff_packbits": (".tif", (TIFF, 32773), "grey"),
    "tiff_jpeg": (".tif", (TIFF, 7), "colour"),
    "jp2": (".jp2", (), "colour"),
    "gif": (".gif", (), "colour"),
    "pbm": (".pbm", (), "grey"),
    "pgm": (".pgm", (), "grey"),
    "pgm_text": (".pgm", (cv2.IMWRITE_PXM_BINARY, 0), "grey"),
    "pgm_16": (".pgm", (), "grey16"),
    "ppm": (".ppm", (), "colour"),
    # Not by these names in a folder of images, but OpenCV goes by what is in a file.
    "pam": (".pam", (), "colour"),
    "pfm": (".pfm", (), "float"),
    "hdr": (".hdr", (), "float"),
    "sun_raster": (".ras", (), "colour"),
    "avif": (".avif", (), "colour"),
}
UNNOTICED = ("pgm_text",)  # Where two numbers become one, another one takes the place of a cut one.
SUFFIXES = (".png", ".jpg", ".tif")


@functools.cache
def valid_images() -> dict[str, bytes]:
    """A valid file of each format that this build of OpenCV writes."""
    colour = part()
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    pixels = {
        "colour": colour,
        "grey": grey,
        "grey16": grey.astype(np.uint16) * 257,
        "alpha": np.dstack([colour, grey]),
        "float": colour.astype(np.float32) / 255,
    }
    files = {}
    for name, (suffix, parameters, kind) in FORMATS.items():
        try:
            written, encoded = cv2.imencode(suffix, pixels[kind], parameters)
        except cv2.error:
            continue
        if written:
            files[name] = encoded.tobytes()
    return files


@st.composite
def image_cases(draw: Draw) -> Case:
    files = valid_images()
    name = draw(st.sampled_from(sorted(files)))
    how = draw(st.sampled_from(("mutated", "mutated", "mutated", "png", "cut", "padded", "removed")))
    if how == "mutated":
        data = draw(mutated([files[name], *files.values()] if draw(st.booleans()) else [files[name]]))
    elif how == "png":
        data = draw(mutated_png(files[draw(st.sampled_from(("png", "png_grey", "png_16", "png_alpha")))]))
    elif how == "cut":
        data = draw(cut_short(files[name]))
    elif how == "removed":  # From the pixels: a header may hold what the image does not need.
        start = draw(st.integers(len(files[name]) // 2, len(files[name]) - 10))
        end = files[name][start + draw(st.integers(1, 8)) :]
        # A JPEG has no checksum, so that a few bytes within one block are not missed; half an image is.
        data = files[name][:start] + (b"\xff\xd9" if name.startswith("jpeg") else end)
    else:
        data = files[name] + draw(st.sampled_from((b"\0", b"\xff"))) * draw(st.integers(1, 9000))
    suffix = draw(st.sampled_from((FORMATS[name][0], *SUFFIXES)))
    depth = draw(st.sampled_from((None, None, 12, 16)))
    whole = name if how in ("cut", "padded", "removed") and not (how == "removed" and name in UNNOTICED) else None
    return Case({f"image{suffix}": data}, {"depth": depth, "whole": whole, "how": how})


def run_image(values: Mapping[str, Any], folder: Path) -> None:
    (path,) = folder.iterdir()
    try:
        image = read_image(path, values["depth"])
    finally:
        _try_pixels(path)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise WrongAnswerError(f"an image of {image.dtype} {image.shape}")
    if values["whole"] is not None and not np.array_equal(image, _whole(values["whole"], values["depth"])):
        raise WrongAnswerError(f"{values['whole']} that is {values['how']} was read as another image")


@functools.cache
def _whole(name: str, depth: int | None) -> np.ndarray:
    return decode_image(valid_images()[name], name, depth)


def _try_pixels(path: Path) -> None:
    with contextlib.suppress(EdgekdError):
        read_pixels(path)


@st.composite
def mask_cases(draw: Draw) -> Case:
    """Label masks of 8 and 16 bits, whole or damaged, alone or several in a folder."""
    files = {}
    damaged = draw(st.booleans())
    for number in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 64)), draw(st.integers(1, 64))
        dtype = draw(st.sampled_from((np.uint8, np.uint16)))
        random = np.random.default_rng(draw(st.integers(0, 999)))
        labels = (random.random((height, width)) < draw(st.sampled_from((0.0, 0.01, 0.5, 1.0)))).astype(dtype)
        labels *= draw(st.sampled_from((1, 255, 256, 65535))) % np.iinfo(dtype).max or 1
        if draw(st.booleans()):
            labels = cv2.dilate(labels, np.ones((5, 5), np.uint8))
        data = cv2.imencode(".png", labels)[1].tobytes()
        files[f"mask/{number}.png"] = draw(mutated([data])) if damaged else data
    sizes = draw(st.tuples(st.integers(1, 100), st.integers(1, 100)))
    return Case(files, {"size": sizes, "damaged": damaged, "folder": draw(st.booleans())})


def run_mask(values: Mapping[str, Any], folder: Path) -> None:
    path = folder / "mask" if values["folder"] else folder / "mask" / "0.png"
    mask = read_mask(path, *values["size"])
    if mask.shape != tuple(values["size"]) or mask.dtype != bool:
        raise WrongAnswerError(f"a mask of {mask.dtype} {mask.shape} for {values['size']}")
    marked = marked_pixels(path)
    if not marked.any() or max(marked.shape) > 256:
        return
    polygons = mask_polygons(marked)
    if not polygons:
        return
    covered = pixels_looked_at(View(marked.shape, ignore=polygons)) == 0
    near = cv2.dilate(marked.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if (covered & ~near).any():
        raise WrongAnswerError("the polygons of a mask cover more than the mask")


# Small enough that what is made here does not count for what is made of it.
SHAPES = st.one_of(
    st.lists(st.integers(0, 70), min_size=0, max_size=2), st.lists(st.integers(0, 12), min_size=3, max_size=4)
)
DTYPES = (
    "uint8",
    "uint16",
    "int16",
    "int64",
    "float16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "object",
    "U4",
    "M8[s]",
)


@st.composite
def array_cases(draw: Draw) -> Case:
    shape = draw(st.one_of(SHAPES, st.sampled_from(([40, 40], [40, 40, 1], [40, 40, 3], [40, 40, 4], [3, 40, 40]))))
    values = {"shape": shape, "dtype": draw(st.sampled_from(DTYPES)), "seed": draw(st.integers(0, 99))}
    values["fill"] = draw(st.sampled_from((None, 0, 1, 255, 4095, 65535, 1e30, "nan", "inf", "-inf")))
    values["layout"] = draw(st.sampled_from(("C", "F", "strided", "read_only", "list", "none")))
    return Case({}, values | {"depth": draw(st.sampled_from((None, 9, 12, 16)))})


def run_array(values: Mapping[str, Any], folder: Path) -> None:
    random = np.random.default_rng(values["seed"])
    array: Any = (
        random.random(values["shape"]) if values["fill"] is None else np.full(values["shape"], values["fill"], "f8")
    )
    with np.errstate(all="ignore"):
        array = array.astype(values["dtype"])
    if values["layout"] == "F":
        array = np.asfortranarray(array)
    elif values["layout"] == "strided" and array.ndim:
        array = array[::-1]
    elif values["layout"] == "read_only":
        array.flags.writeable = False
    elif values["layout"] == "list":
        array = array.tolist()
    elif values["layout"] == "none":
        array = None
    image = as_bgr8(array, "the image", values["depth"])
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or list(image.shape[:2]) != values["shape"][:2]
    ):
        raise WrongAnswerError(f"an image of {image.dtype} {image.shape} from {values}")


TARGETS = (
    Target("images", "data/images.py, data/image_files.py", lambda seeds: image_cases(), run_image, smoke=40),
    Target("masks", "data/masks.py, data/view_geometry.py", lambda seeds: mask_cases(), run_mask),
    Target("arrays", "data/images.py", lambda seeds: array_cases(), run_array, smoke=40),
)
