"""Synthetic anomalies: good images with blots of another texture, for systems that train on the difference."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import list_images
from edgekd.data.textures import Textures
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Size

LARGEST_SCALE_EXPONENT = 5  # Of the mask: 1, 2, 4, 8, 16 or 32 lattice cells an axis.
LARGEST_ANGLE = 90.0
THRESHOLD = 0.5
OCTAVES = 5  # Of a procedural texture.
FAINTEST, STRONGEST = 0.15, 1.0  # Share of the texture in the blend.


def list_textures(folder: Path) -> list[Path]:
    """Every image of the folder that anomalies take their texture from, sorted by path.

    Args:
        folder: What the user gave as --textures.

    Raises:
        EdgekdError: There is no such folder, or no image in it.
    """
    try:
        return list_images(folder)
    except EdgekdError as error:
        raise EdgekdError(
            f"--textures FOLDER: {error}; give a folder of texture images, or none to use textures made of noise"
        ) from error


def corrupt(
    frame: NDArray[np.uint8], textures: Textures | None, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blends a texture into a good image under a random mask.

    The blend is beta K A + (1 - beta) K M + (1 - K) M, of the mask K, the texture A, the image M and a share beta
    that is drawn from 0.15 to 1 (the equation of PFADSeg; Perlin settings of DRAEM and DeSTSeg).

    Args:
        frame: uint8 [H, W, 3], BGR.
        textures: Of the frame's size, one of which is drawn; None makes one.
        rng: The source of all that is random.

    Returns:
        The corrupted frame, float32 [H, W, 3], BGR, 0..255, and the mask, float32 [H, W], 0 or 1. The mask can be
        empty; the frame is as it was then.

    Raises:
        ImageError: The texture cannot be read; the error names it.
    """
    height, width = frame.shape[:2]
    mask = anomaly_mask((height, width), rng)
    share = np.float32(rng.uniform(FAINTEST, STRONGEST))
    # The texture is needed under the mask alone, a twentieth of the image.
    places = np.flatnonzero(mask)
    if textures is not None:
        texture = textures[int(rng.integers(len(textures)))].reshape(-1, 3)[places].astype(np.float32)
    else:
        texture = procedural_texture((height, width), places, rng)
    corrupted = frame.astype(np.float32)
    pixels = corrupted.reshape(-1, 3)
    good = pixels[places]
    pixels[places] = good + share * (texture - good)
    return corrupted, mask


def anomaly_mask(size: Size, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draws where an anomaly is: Perlin noise of random scales, rotated at random, above one half.

    A rectangle is cut out of the middle of such a square, so that a rotation neither leaves its ends bare nor
    stretches what is drawn.

    Args:
        size: Height and width of the mask, in pixels.
        rng: The source of all that is random.

    Returns:
        float32 [height, width], 1 where the anomaly is, else 0. It can be empty.
    """
    side = max(size)
    rows, columns = (int(scale) for scale in 2 ** rng.integers(LARGEST_SCALE_EXPONENT + 1, size=2))
    noise = perlin_noise(side, (rows, columns), rng)
    middle = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE), 1.0)
    height, width = size
    # What lies above and to the left of the rectangle in the square.
    turn[:, 2] -= ((side - width) // 2, (side - height) // 2)
    turned = cv2.warpAffine(noise, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)
    return (np.asarray(turned) > THRESHOLD).astype(np.float32)


def procedural_texture(size: Size, places: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
    """Makes a texture: blots and grain of random colour, size, direction and contrast.

    Args:
        size: Height and width of the texture, in pixels.
        places: Of the pixels that are needed, [N], counted row after row.
        rng: The source of all that is random; as much is drawn from it for few pixels as for all.

    Returns:
        float32 [N, 3], BGR, 0..255.
    """
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    contrast = np.float32(rng.uniform(30, 400))
    roughness, same = rng.uniform(0.4, 0.95), np.float32(rng.uniform())
    first = rng.integers(LARGEST_SCALE_EXPONENT, size=2)
    row, column = np.divmod(places, size[1])
    finest = [max(side // 4, 1) for side in size]
    noise = np.zeros((3, len(places)), np.float32)
    for octave in range(OCTAVES):
        # A lattice as fine as the pixels would be sampled at its points alone, where the noise is 0.
        rows, columns = (int(scale) for scale in np.minimum(2 ** (first + octave), finest))
        angles = _draw_angles(3, (rows, columns), rng)
        noise += np.float32(roughness**octave) * perlin_noise_at(row, column, size, angles)
    noise[1:] += same * (noise[0] - noise[1:])
    return (colour + contrast * noise.T).clip(0, 255)


def perlin_noise(side: int, scales: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draws Perlin's gradient noise (Perlin, "Improving noise", 2002), with the usual gain of the square root of 2.

    Args:
        side: Of the result, in pixels; the scales need not divide it.
        scales: Lattice cells over the rows and over the columns, from 1.
        rng: The source of the gradients' directions.

    Returns:
        float32 [side, side], -1..1, 0 at the lattice points.
    """
    down, right = _slopes(_draw_angles(1, scales, rng)[0])
    (before, way, weight), (after, way_back, weight_back) = _neighbours(side, scales[1])
    # Between columns first, on the few rows of the lattice: less work than four corners for each pixel.
    down = down.take(before, 1) * weight + down.take(after, 1) * weight_back
    right = right.take(before, 1) * (weight * way) + right.take(after, 1) * (weight_back * way_back)
    noise = np.zeros((side, side), np.float32)
    for point, way, weight in _neighbours(side, scales[0]):
        part = down.take(point, 0)
        part *= way[:, None]
        part += right.take(point, 0)
        part *= weight[:, None]
        noise += part
    return noise


def perlin_noise_at(
    row: NDArray[np.intp], column: NDArray[np.intp], size: Size, angles: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Perlin noise at some pixels only: what `perlin_noise` has there in a square, to the bit.

    Args:
        row, column: Of the pixels, [N].
        size: Height and width of the whole noise, in pixels.
        angles: Of the gradients, one lattice a channel, float32 [C, rows + 1, columns + 1].

    Returns:
        float32 [C, N].
    """
    count, lattice_rows, lattice_columns = angles.shape
    slopes = np.concatenate(_slopes(angles)).reshape(2 * count, -1)
    (before, way, weight), (after, way_back, weight_back) = (
        (point[column], way[column], weight[column]) for point, way, weight in _neighbours(size[1], lattice_columns - 1)
    )
    right_weight, right_weight_back = weight * way, weight_back * way_back
    noise = np.zeros((count, len(row)), np.float32)
    for point, way, row_weight in _neighbours(size[0], lattice_rows - 1):
        line = point[row] * lattice_columns
        left, other = slopes.take(line + before, 1), slopes.take(line + after, 1)
        part = left[:count] * weight + other[:count] * weight_back
        part *= way[row]
        part += left[count:] * right_weight + other[count:] * right_weight_back
        part *= row_weight[row]
        noise += part
    return noise


def _draw_angles(count: int, scales: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    return np.float32(2 * np.pi) * rng.random((count, scales[0] + 1, scales[1] + 1), np.float32)


def _slopes(angles: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The gradients of those directions, down and to the right, of the length of the square root of 2."""
    return np.float32(np.sqrt(2)) * np.sin(angles), np.float32(np.sqrt(2)) * np.cos(angles)


@lru_cache(maxsize=64)  # A run draws few scales, thousands of times. Nobody writes to what it returns.
def _neighbours(side: int, scale: int) -> list[tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]]:
    """The lattice points before and after each pixel of an axis.

    Args:
        side: Pixels of the axis.
        scale: Lattice cells of the axis.

    Returns:
        Of the one before and the one after: its index, the way from it to the pixel in cells, and its weight, [side].
    """
    place = np.linspace(0, scale, side, endpoint=False)
    before = place.astype(np.intp)
    t = (place - before).astype(np.float32)
    fade = t * t * t * (t * (t * 6 - 15) + 10)
    return [(before, t, 1 - fade), (before + 1, t - 1, fade)]
