"""Options of the commands that train, so that they are called and explained the same in each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.options import DATA, TRAINING, VIEW
from edgekd.cli.types import between, image_size, not_negative, positive
from edgekd.recipe import AUGMENTATIONS, Preset, Schedule
from edgekd.view import MOST_OVERLAP, MOST_ROTATION, Fit

Textures = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of images that synthetic anomalies take their texture from (pfadseg, dskd). Default: noise.",
        rich_help_panel=DATA,
    ),
]
ImageSize = Annotated[
    Any,
    typer.Option(
        "--size",
        parser=image_size,
        metavar="PIXELS|HEIGHTxWIDTH",
        help="Size of the images, in pixels: the side of a square, such as 256, or height and width, such as 128x320. "
        "Default: the square that suits the time; 256 with --iterations or --preset paper.",
        rich_help_panel=DATA,
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="X,Y,WIDTH,HEIGHT",
        help="What is looked at of each image, in pixels: the upper left corner and the size. Default: all of it.",
        rich_help_panel=VIEW,
    ),
]
LookAt = Annotated[
    list[str] | None,
    typer.Option(
        "--look-at",
        metavar="POLYGON|MASK",
        help="Look inside this polygon only, 'X,Y X,Y X,Y' in pixels, or where this image is not black; once for each "
        "of several. Default: everywhere.",
        rich_help_panel=VIEW,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="POLYGON|MASK",
        help="Ignore what is inside this polygon, 'X,Y X,Y X,Y' in pixels, or where this image is not black; once for "
        "each of several. Default: nothing.",
        rich_help_panel=VIEW,
    ),
]
FitOption = Annotated[
    Fit | None,
    typer.Option(
        "--fit",
        help="How images of another shape than --size are brought to it: letterbox keeps their shape, stretch fills "
        "the size. Default: letterbox; stretch with --preset paper.",
        rich_help_panel=VIEW,
    ),
]
Tiles = Annotated[
    str | None,
    typer.Option(
        "--tiles",
        metavar="ROWSxCOLUMNS",
        help="Divide each image into tiles, such as 2x3, which the network reads at --size each: finer detail, at the "
        "cost of as many inferences. Default: 1x1.",
        rich_help_panel=VIEW,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        parser=between(0, MOST_OVERLAP),
        metavar="SHARE",
        help=f"Overlap of neighbouring tiles, as a share of a tile, 0 to {MOST_OVERLAP:g}. Default: 0.1.",
        rich_help_panel=VIEW,
    ),
]
Align = Annotated[
    Path | None,
    typer.Option(
        metavar="IMAGE",
        help="Shift and turn each image onto this reference first, one of the good images; what does not match it is "
        "an ERROR. Default: not at all.",
        rich_help_panel=VIEW,
    ),
]
MaxShift = Annotated[
    float | None,
    typer.Option(
        parser=between(0, 100_000),
        metavar="PIXELS",
        help="Largest shift that --align corrects. Default: a tenth of the image's shorter side.",
        rich_help_panel=VIEW,
    ),
]
MaxRotation = Annotated[
    float | None,
    typer.Option(
        parser=between(0, MOST_ROTATION),
        metavar="DEGREES",
        help="Largest rotation that --align corrects. Default: 5.",
        rich_help_panel=VIEW,
    ),
]
BitDepth = Annotated[
    int | None,
    typer.Option(
        "--bit-depth",
        parser=positive,
        metavar="BITS",
        help="Bits that images of 16 bits use, 9 to 16, such as 12; kept for everything that follows. Default: images "
        "have 8 bits, or use all 16.",
        rich_help_panel=DATA,
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        parser=between(0.1, 100_000),
        metavar="MINUTES",
        help="Time that the training may take: image size and iterations are fitted to it. Default: 10.",
        rich_help_panel=TRAINING,
    ),
]
TrainingPreset = Annotated[
    Preset | None,
    typer.Option(
        "--preset",
        help="Where nothing else is given: timed, what was measured to be best within minutes, or paper, the paper's "
        "own training, which takes hours or days. Default: timed.",
        rich_help_panel=TRAINING,
    ),
]
Iterations = Annotated[
    int | None,
    typer.Option(
        parser=positive,
        metavar="N",
        help="Optimizer steps of all stages together, in place of --minutes.",
        rich_help_panel=TRAINING,
    ),
]
TrainingBatch = Annotated[
    int | None,
    typer.Option(
        "--batch", parser=positive, metavar="N", help="Images a step. Default: the preset's.", rich_help_panel=TRAINING
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        parser=between(1e-7, 1.0),
        metavar="RATE",
        help="Learning rate of the first stage; the others keep their proportion to it. Default: the preset's.",
        rich_help_panel=TRAINING,
    ),
]
LearningRateSchedule = Annotated[
    Schedule | None,
    typer.Option(
        "--schedule",
        help="Learning-rate schedule: constant, step (a tenth of it for the last twentieth) or cosine (to 0). "
        "Default: the preset's.",
        rich_help_panel=TRAINING,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE...",
        help="One of the system's own settings, such as cbam=off; 'edgekd models SYSTEM' lists them.",
        rich_help_panel=TRAINING,
    ),
]
Augment = Annotated[
    list[str] | None,
    typer.Option(
        metavar="|".join(AUGMENTATIONS),
        help="How training images are changed at random: shift (by up to 1/64 of a side) or, for parts that lie in any "
        "direction, flips, symmetries (flips and quarter turns) or turn (any angle), both of squares alone; once for "
        "each of several. Default: shift for hkt, hkt_plus and mhkd, nothing for the others and as in the papers.",
        rich_help_panel=TRAINING,
    ),
]
QuantizationAware = Annotated[
    bool,
    typer.Option("--quantization-aware", help="Train with INT8 arithmetic (hkt, hkt_plus).", rich_help_panel=TRAINING),
]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=not_negative,
        metavar="N",
        help="Seed of the weights, the order of images and the choice of those held out. Default: 0.",
        rich_help_panel=TRAINING,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Train side by side with Ray: on this machine, on the cluster at HOST:PORT, or auto for the one that it "
        "belongs to; --out must be on storage that all machines see. Default: one after the other.",
        rich_help_panel=TRAINING,
    ),
]
TrainingDevice = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="What trains: auto (a GPU where there is one), cpu, cuda or cuda:1. Default: auto.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]
