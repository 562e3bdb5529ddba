"""What a detector says of golden parts and of defects that it has never seen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import edgekd
from edgekd.artifact import write_json
from edgekd.data.images import read_image
from edgekd.result import AnomalyResult
from edgekd.runner.sinks import write_heat_map
from edgekd.station.page.teaching.project_files import ProjectFiles, TrainingFiles
from edgekd.station.page.teaching.reporting import Report
from edgekd.station.page.teaching.work_files import Step

EXPECTED = {"golden": "OK", "defect": "NG"}


def try_images(
    project: ProjectFiles,
    training: TrainingFiles,
    golden: Mapping[str, str],
    defects: Mapping[str, str],
    report: Report,
    step: Step,
) -> None:
    """Judges images as the station would, and keeps verdicts and heat maps.

    Args:
        project: Whose images.
        training: Whose detector.
        golden, defects: Files of the images by their numbers.
        report: Is told how far it is.
        step: Is told how it went.
    """
    images = [("golden", int(number), name) for number, name in golden.items()]
    images += [("defect", int(number), name) for number, name in defects.items()]
    maps = training.heat_map(1).parent
    part = maps.with_name(f"{maps.name}.part")  # Whoever stops it has what was tried before.
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    tries = []
    with edgekd.Inspector(training.artifact) as inspector:
        for count, (label, number, name) in enumerate(images, start=1):
            result = inspector(project.images / name)
            _keep_heat_map(part / training.heat_map(number).name, project.images / name, result, inspector)
            tries.append(_entry(number, label, result))
            report.progress("trying golden parts and defects", count, len(images))
        shutil.rmtree(maps, ignore_errors=True)
        part.rename(maps)
        write_json(training.tries, {"threshold": inspector.threshold, "tries": tries})
    right = {label: sum(each["as_expected"] for each in tries if each["label"] == label) for label in EXPECTED}
    told = (("golden", golden, "golden parts are OK"), ("defect", defects, "defects are NG"))
    text = "; ".join(f"{right[label]} of {len(numbers)} {words}" for label, numbers, words in told if numbers)
    counts = {label: {"right": right[label], "count": len(numbers)} for label, numbers, _ in told if numbers}
    step.came_to(text, **counts)


def _keep_heat_map(path: Path, image: Path, result: AnomalyResult, inspector: edgekd.Inspector) -> None:
    if result.anomaly_map is None:
        return
    low, high = 0.5 * inspector.threshold, 2 * inspector.threshold  # As the station draws them.
    pixels = read_image(image, inspector.manifest.get("bit_depth"))
    write_heat_map(path, pixels, result, low, high, inspector.limits.pixel_limit)


def _entry(number: int, label: str, result: AnomalyResult) -> dict[str, Any]:
    known = result.to_dict()
    return {
        "image": number,
        "label": label,
        **{name: known[name] for name in ("verdict", "score", "severity", "error")},
        "as_expected": result.verdict.value == EXPECTED[label],
    }
