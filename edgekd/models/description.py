"""What there is to know of each system: settings, legal sizes, training, parts, and what its paper prints."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekd.models.counting import Count, count, count_parts
from edgekd.models.detector import Detector, TrainingDefaults
from edgekd.models.mthf import PAPER_LIKE_GROUPS
from edgekd.models.registry import SYSTEMS, PaperRow, System, find_system, require_legal_size
from edgekd.preprocessing import Size

LARGEST_SIZE_TRIED = 512  # Pixels a side; legal sizes are evenly spaced.
PAPER_LIKE = "paper-like"  # Names MTHF's three backbones that are as its paper describes them.


def describe_systems(size: Size = (256, 256), system: str | None = None) -> list[dict[str, Any]]:
    """Describes every system, or one; parameters and MACs are counted from the real modules.

    Args:
        size: Height and width of the image that MACs are counted for, in pixels; the papers' are 256.
        system: The name of the one to describe; None for all.

    Returns:
        One entry a system: `system`, `title`, `size` (height and width); `parts` (those of the paper, all of them, what
        is deployed of them, and what is deployed with the default teacher where that is another: `parameters`, `macs`);
        `paper`; `teachers` (`default`, the `paper`'s, `takes`); `image_sizes` (of a side: `smallest`, `step`, in
        pixels, with the default teachers); `timed` and `training` (the defaults of `edgekd train` within a time, and
        the paper's); and `settings` (`name`, `type`, `default`, `choices`).

    Raises:
        EdgekdError: There is no such system, or it does not take images of this size.
    """
    systems = SYSTEMS.values() if system is None else [find_system(system)]
    with torch.device("meta"):  # Shapes without values: counting needs no more, and drawing weights takes long.
        return [_describe(entry, size) for entry in systems]


def what_teaches(system: System) -> str:
    """In words, what a system takes as its teacher."""
    if system.several_teachers:
        return f"one teacher or several different ones, or {PAPER_LIKE} ({', '.join(PAPER_LIKE_GROUPS)})"
    return "one teacher, by a name of 'edgekd teachers list' or by its .safetensors or .pth file"


def _describe(system: System, size: Size) -> dict[str, Any]:
    detector = system.detector(size)
    require_legal_size(system.name, detector, size)
    parts = count_parts(detector, {**detector.parts(), "whole": detector}, size)
    parts["deployed"] = count(detector.deployed(), size)
    usual = detector
    if tuple(detector.pretrained()) != system.teachers:
        usual = system.detector(size, {system.teacher_setting: system.teachers[0]})
        parts[f"deployed with {system.teachers[0]}"] = count(usual.deployed(), size)
    return {
        "system": system.name,
        "title": system.title,
        "size": list(size),
        "parts": {name: {"parameters": part.parameters, "macs": part.macs} for name, part in parts.items()},
        "paper": {
            "source": system.paper,
            "flops_convention": system.convention.text,
            "rows": [_paper_row(system, row, size) for row in system.rows],
        },
        "teachers": {
            "default": list(system.teachers),
            "paper": list(system.setup.teachers),
            "takes": what_teaches(system),
        },
        "image_sizes": _legal_sizes(usual),
        "timed": _as_json(system.timed),
        "training": _as_json(system.training),
        "settings": _settings(system),
    }


def _as_json(training: TrainingDefaults) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in training._asdict().items()}


def _legal_sizes(detector: Detector) -> dict[str, int]:
    sizes = range(1, LARGEST_SIZE_TRIED + 1)
    legal = [size for size in sizes if detector.legal_sizes_near(size) == (size,)]
    return {"smallest": legal[0], "step": math.gcd(*(size - legal[0] for size in legal))}


def _settings(system: System) -> list[dict[str, Any]]:
    choices = system.setting_choices()
    return [
        {
            "name": name,
            "type": type(default).__name__,
            "default": default,
            "choices": list(choices[name]) if name in choices else None,
        }
        for name, default in system.settings().items()
    ]


def _paper_row(system: System, row: PaperRow, size: Size) -> dict[str, Any]:
    detector = system.detector(size, row.settings)
    counts = count_parts(detector, {name: detector.parts()[name] for name in row.parts}, size)
    ours = sum(counts.values(), start=Count(0, 0, 0))
    thop, convention = ours.thop_macs // 10**7 / 100, system.convention
    return {
        "table": row.table,
        "row": row.row,
        "paper_parameters_m": row.parameters_m,
        "paper_gflops": row.gflops,
        "parameters": ours.parameters,
        "macs": ours.macs,
        "thop_macs": ours.thop_macs,
        "gflops": thop if convention.pools else round(convention.per_mac * ours.macs / 1e9, 2),
    }
