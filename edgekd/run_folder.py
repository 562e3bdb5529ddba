"""The names of files that commands agree upon: those of a run folder, and those of a folder of verdicts.

`edgekd train` makes a run folder; each later command adds to it. `edgekd distill` makes one of its own.
"""

from __future__ import annotations

from pathlib import Path

RECIPE_FILE = "recipe.json"
STUDENT_FILE = "student.safetensors"
TEACHER_FILE = "teacher.safetensors"
TEACHER_CARDS_FILE = "teachers.json"
TRAINING_FILE = "training.json"
DISTILLATION_FILE = "distillation.json"
DISTILLATION_CHECKPOINT_FILE = "checkpoint.pt"
DETECTOR_FILE = "detector.onnx"
CALIBRATION_SUFFIX = ".calibration.json"
EVALUATION_SUFFIX = ".evaluation.json"
BENCH_SUFFIX = ".bench.json"
TRIAL_FILE = "trial.json"
# What `edgekd inspect --out DIR` writes into DIR.
VERDICTS_FILE = "verdicts.sqlite"
IMAGES_FOLDER = "heat_maps"  # Of NG frames the originals too.
HEAT_MAP_SUFFIX, ORIGINAL_SUFFIX = ".heat.jpg", ".original.png"


def artifact_name(file: str, precision: str) -> str:
    """The name of an artifact in a precision: x.onnx, x_fp16.onnx, x_int8.onnx, x_int8_fp16.onnx.

    Args:
        file: Its name in float32, such as `DETECTOR_FILE`.
        precision: One of edgekd.precisions.
    """
    return file if precision == "fp32" else f"{Path(file).stem}_{precision}{Path(file).suffix}"


def checkpoint_name(stage: str) -> str:
    """The name of the checkpoint that a training stage is resumed from."""
    return f"checkpoint_{stage}.pt"
