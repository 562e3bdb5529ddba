"""Options that several commands share, so that they are called and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.types import between, positive, positive_or

# The panels of the help pages.
DATA, VIEW, TRAINING, PRECISION, ENGINE, OUTPUT = "Data", "View", "Training", "Precision", "Engine", "Output"

JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE|-", help="Write the answer as JSON; - for standard output.", rich_help_panel=OUTPUT
    ),
]
FalseRejectRate = Annotated[
    float,
    typer.Option(
        parser=between(0.0, 0.5),
        metavar="SHARE",
        help="Share of good images that the threshold may reject, 0 to 0.5.",
        rich_help_panel=DATA,
    ),
]
EngineFile = Annotated[
    Path,
    typer.Option("--engine", metavar="FILE", help="Artifact to run: an .onnx or .engine file.", rich_help_panel=ENGINE),
]
EngineOrRun = Annotated[
    Path,
    typer.Option(
        "--engine",
        metavar="FILE|RUN",
        help="Artifact to run: an .onnx or .engine file, or a run that was exported.",
        rich_help_panel=ENGINE,
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Back end that computes; 'edgekd doctor' lists those that work here. Default: the faster one on the CPU, "
        "measured once.",
        rich_help_panel=ENGINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        parser=positive, metavar="N", help="CPU threads for one inference. Default: all.", rich_help_panel=ENGINE
    ),
]
GpuDevice = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="cuda:N", help="NVIDIA GPU, as CUDA counts them. Default: cuda:0.", rich_help_panel=ENGINE
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(
        parser=positive,
        metavar="N",
        help="Batches in flight at once; each takes memory for one set of activations. Default: the engine's own.",
        rich_help_panel=ENGINE,
    ),
]
RequireSignature = Annotated[
    Path | None,
    typer.Option(
        metavar="PUBLIC_KEY",
        help="Refuse an artifact that is not signed by the key of this file ('edgekd sign'). Default: the file in "
        "$EDGEKD_REQUIRE_SIGNATURE; where that is not set, no signature is required.",
        rich_help_panel=ENGINE,
    ),
]
Readers = Annotated[
    int | None,
    typer.Option(
        parser=positive,
        metavar="N",
        help="Threads that decode and resize images. Default: from the number of cores.",
        rich_help_panel=ENGINE,
    ),
]
Streams = Annotated[
    Any,
    typer.Option(
        parser=positive_or("auto"),
        metavar="N|auto",
        help="Inferences that OpenVINO computes at the same time on the CPU, each on its share of the threads: more "
        "frames a second, each later. auto: the number that gives the most, measured once. Default: 1; inspect takes "
        "auto for 500 frames or more.",
        rich_help_panel=ENGINE,
    ),
]
InferenceLimit = Annotated[
    float | None,
    typer.Option(
        parser=between(0, 1e6),
        metavar="SECONDS",
        help="Longest time for one inference: a later answer is ERROR, and an inference that does not end stops the "
        "command. Default: 50 times the slowest of the first ones, at least 10.",
        rich_help_panel=ENGINE,
    ),
]
