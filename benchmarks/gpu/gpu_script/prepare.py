"""Makes the carried folder from data at hand; needs the project's own environment, for the teachers' packages."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edgekd.artifact import sha256, write_json
from edgekd.data.images import list_images, read_image
from edgekd.data.layouts import read_category
from edgekd.data.resizing import resize_image
from edgekd.errors import EdgekdError
from edgekd.training.teachers.backbone_weights import backbone_weights, load_backbone
from edgekd.training.teachers.catalogue import CATALOGUE
from edgekd.training.weight_files import write_weights
from gpu_script.carried import BACKBONES, CATEGORY, CONTENTS, FOLDER, IMAGES, TEACHERS, TEXTURES, WHEELS

MOST_BYTES = 34_000_000
SIDE = 256
TEXTURES_A_CLASS = 12
TEXTURE_BYTES = 3_500_000
CATEGORY_QUALITY, OTHER_QUALITY = 92, 75
SMALL_PACKAGES = (
    "annotated-types",
    "pydantic",
    "pydantic-core",
    "simplejpeg",
    "typing-extensions",
    "typing-inspection",
)
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def main() -> int:
    parser = argparse.ArgumentParser(prog="prepare.sh", description=__doc__)
    parser.add_argument("data", metavar="DATA", type=Path, help="holds mvtec_ad/CATEGORY, dtd and imagenet_sample")
    parser.add_argument("--category", help="below DATA/mvtec_ad (default: the first)")
    parser.add_argument("--wheels", metavar="VERSION", help="carry small packages too, for this Python, such as 3.12")
    arguments = parser.parse_args()
    try:
        category = _category(arguments.data / "mvtec_ad", arguments.category)
        prepare(category, arguments.data / "dtd", arguments.data / "imagenet_sample")
        if arguments.wheels:
            _carry_wheels(arguments.wheels)
    except EdgekdError as error:
        print(f"prepare.sh: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def prepare(category: Path, textures: Path, images: Path) -> None:
    """Writes the folder anew.

    Args:
        category: In the layout of MVTec AD.
        textures: Images that synthetic anomalies take their looks from, in folders or not.
        images: To distil teachers from, of anything; as many are taken as there is room for.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in BACKBONES:
        _carry_teacher(name)
    good, test = _carry_category(category)
    drawn = _spread(list_images(textures), TEXTURES_A_CLASS)
    textures_carried = _shrink(drawn, TEXTURES, TEXTURE_BYTES)
    images_carried = _shrink(_mixed(list_images(images)), IMAGES, MOST_BYTES - _bytes(FOLDER))
    contents = {
        "category": category.name,
        "good_images": good,
        "test_images": test,
        "side": SIDE,
        "textures": textures_carried,
        "images": images_carried,
        "teachers": {path.stem: sha256(path) for path in sorted(TEACHERS.glob("*.safetensors"))},
    }
    write_json(CONTENTS, contents)
    print(f"{FOLDER}: {_bytes(FOLDER) / 1e6:.1f} MB; {contents}")
    if _bytes(FOLDER) > MOST_BYTES + 100_000:
        raise EdgekdError(f"{FOLDER} is larger than {MOST_BYTES / 1e6:.0f} MB: choose a smaller category")


def _carry_wheels(version: str) -> None:
    """Puts the packages into the folder that machines with torch seldom have; run.sh installs them there."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", version]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_x86_64"]
    subprocess.run([*command, "--no-deps", "--dest", str(WHEELS), *SMALL_PACKAGES], check=True)


def _category(folder: Path, name: str | None) -> Path:
    found = sorted(path for path in folder.glob(name or "*") if (path / "train" / "good").is_dir())
    if not found:
        raise EdgekdError(f"{folder / (name or '*')} must hold train/good, test and ground_truth as MVTec AD has them")
    return found[0]


def _carry_teacher(name: str) -> None:
    """Puts a backbone into the folder as a store of teachers holds it; matrices and kernels in float16."""
    state = {key: value.half() if value.dim() > 1 else value for key, value in load_backbone(name).state_dict().items()}
    kept = TEACHERS / f"{name}.safetensors"
    write_weights(kept, state)
    entry = CATALOGUE[name]
    card = {
        "teacher": name,
        "network": entry.network,
        "paper": entry.paper,
        "licence": entry.licence,
        "imported_from": entry.origin,
        "imported_sha256": sha256(backbone_weights(name)),
        "rounded": "weights of convolutions and matrices to float16",
        "sha256": sha256(kept),
    }
    write_json(kept.with_suffix(".json"), card)


def _carry_category(folder: Path) -> tuple[int, int]:
    """Shrinks a category, its layout kept; how many good images to train on and test images it has."""
    category = read_category(folder)
    for path in (*category.train_good, *(image.path for image in category.test)):
        _write(path, CATEGORY / path.relative_to(folder).with_suffix(".jpg"), CATEGORY_QUALITY)
    for image in category.test:
        if image.mask is not None:
            mask = resize_image((read_image(image.mask) > 0).astype("uint8") * 255, SIDE, SIDE)
            target = CATEGORY / image.mask.relative_to(folder).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), (mask >= 128).astype("uint8") * 255)
    return len(category.train_good), len(category.test)


def _spread(paths: list[Path], each: int) -> Iterator[Path]:
    """A few of every folder, evenly spaced."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    for inside in folders.values():
        yield from inside[:: max(1, len(inside) // each)][:each]


def _mixed(paths: list[Path]) -> list[Path]:
    """In an order by chance, always the same: those that there is room for are of all kinds."""
    return [paths[index] for index in np.random.default_rng(0).permutation(len(paths))]


def _shrink(paths: Iterable[Path], folder: Path, most_bytes: int) -> int:
    """Writes images with a shorter side of 256 pixels at most, until the room is used up; how many."""
    used = count = 0
    for path in paths:
        target = folder / f"{count:04}.jpg"
        image = read_image(path)
        scale = min(1.0, SIDE / min(image.shape[:2]))
        height, width = (round(length * scale) for length in image.shape[:2])
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), resize_image(image, height, width), [cv2.IMWRITE_JPEG_QUALITY, OTHER_QUALITY])
        used += target.stat().st_size
        if used > most_bytes:
            target.unlink()
            break
        count += 1
    return count


def _write(source: Path, target: Path, quality: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    image = resize_image(read_image(source), SIDE, SIDE)
    cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
