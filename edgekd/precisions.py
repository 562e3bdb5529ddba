"""The precisions that an artifact can have, and how activation scales are calibrated for INT8."""

from __future__ import annotations

from typing import Literal, get_args

# INT8 convolutions: int8 has float32 around them, for CPUs; int8_fp16 has float16 around them, for TensorRT.
Precision = Literal["fp32", "fp16", "int8", "int8_fp16"]
CalibrationMethod = Literal["min-max", "percentile", "entropy"]
CalibrationChoice = Literal["k-centre", "random"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
INT8: Precision = "int8"
INT8_FP16: Precision = "int8_fp16"
QUANTIZED: tuple[Precision, ...] = (INT8, INT8_FP16)
CALIBRATION_METHODS: tuple[CalibrationMethod, ...] = get_args(CalibrationMethod)  # The first is the default.
CALIBRATION_CHOICES: tuple[CalibrationChoice, ...] = get_args(CalibrationChoice)  # The first is the default.
