"""The command `edgekd export`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd.cli.options import OUTPUT, PRECISION, FalseRejectRate, JsonFile
from edgekd.cli.output import answer, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.types import between, image_size, not_negative, positive, positive_or
from edgekd.precisions import QUANTIZED, CalibrationChoice, CalibrationMethod, Precision

if TYPE_CHECKING:
    from edgekd.workflows.export import ExportResult

TRITON = "Triton Inference Server"

app = typer.Typer(add_completion=False)


@app.command()
def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SYSTEM|FILE",
            help="Folder of a run; a system, exported untrained to measure its speed; or with --triton an artifact.",
            show_default=False,
        ),
    ],
    precision: Annotated[
        Precision,
        typer.Option(
            help="int8 has float32 around it, for CPUs; int8_fp16 has float16 around it, for TensorRT.",
            rich_help_panel=PRECISION,
        ),
    ] = "fp32",
    max_drift: Annotated[
        float | None,
        typer.Option(
            parser=between(0.0, 10.0),
            metavar="X",
            help="For INT8: largest RMS change of the anomaly map, in standard deviations; sensitive layers stay in "
            "float to meet it. Default: 0.03.",
            rich_help_panel=PRECISION,
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="For int8: time layers in INT8 and in float on this machine's CPU; those that are faster in float "
            "stay in it.",
            rich_help_panel=PRECISION,
        ),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="For INT8: folder of good images, or a .calibration.json written before. Default: the images that the "
            "run was trained on.",
            rich_help_panel=PRECISION,
        ),
    ] = None,
    calibration_images: Annotated[
        int | None,
        typer.Option(
            parser=positive, metavar="N", help="Images in the calibration set. Default: 32.", rich_help_panel=PRECISION
        ),
    ] = None,
    calibration_choice: Annotated[
        CalibrationChoice | None,
        typer.Option(
            help="How images are chosen: k-centre takes those that cover the others. Default: k-centre.",
            rich_help_panel=PRECISION,
        ),
    ] = None,
    calibration_seed: Annotated[
        int | None,
        typer.Option(
            parser=not_negative, metavar="N", help="Seed of a random choice. Default: 0.", rich_help_panel=PRECISION
        ),
    ] = None,
    calibration_method: Annotated[
        CalibrationMethod | None,
        typer.Option(help="How activation scales are computed. Default: min-max.", rich_help_panel=PRECISION),
    ] = None,
    batch: Annotated[
        Any,
        typer.Option(
            parser=positive_or("dynamic"),
            metavar="N|dynamic",
            help="Frames per batch; dynamic for any number.",
            rich_help_panel=OUTPUT,
        ),
    ] = "1",
    size: Annotated[
        Any,
        typer.Option(
            parser=image_size,
            metavar="PIXELS|HEIGHTxWIDTH",
            help="Size of the frames of an untrained system: the side of a square, or height and width. Default: 256.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    false_reject_rate: FalseRejectRate = 0.01,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The .onnx file to write. Default: detector.onnx (_fp16, _int8, _int8_fp16) in the run, or "
            "SYSTEM.onnx here.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    triton: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Model repository to write the artifact into too.", rich_help_panel=TRITON),
    ] = None,
    triton_backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="onnxruntime, openvino or tensorrt. Default: onnxruntime; tensorrt for an engine.",
            rich_help_panel=TRITON,
        ),
    ] = None,
    triton_device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu or gpu. Default: cpu; gpu for tensorrt.", rich_help_panel=TRITON),
    ] = None,
    triton_max_batch: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Frames that Triton may batch, where the batch is dynamic. Default: 8.",
            rich_help_panel=TRITON,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Export a run, or an untrained system, to an .onnx detector.

    The graph is compared with the network in torch before it is kept; held-out good images set its threshold.
    """
    from edgekd.workflows.export import export as run

    with show_progress() as progress:
        result = run(
            what,
            precision=precision,
            batch=batch,
            size=size,
            output=output,
            false_reject_rate=false_reject_rate,
            calibration=calibration,
            calibration_images=calibration_images,
            calibration_choice=calibration_choice,
            calibration_seed=calibration_seed,
            calibration_method=calibration_method,
            max_drift=max_drift,
            tune=tune,
            triton=triton,
            triton_backend=triton_backend,
            triton_device=triton_device,
            triton_max_batch=triton_max_batch,
            answer_file=None if json == Path("-") else json,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result)


def _print(result: ExportResult) -> None:
    manifest = result.manifest
    if result.exported:
        worst = max(figures["map"] for figures in manifest["parity"].values())
        _say(f"wrote {result.artifact}: {result.macs / 1e9:.2f} GMACs, within {worst:.1e} of torch's map range")
        if result.precision != "fp32":
            noise = max(figures["noise"] for figures in manifest["agreement"].values())
            _say(f"that was in float32; {result.precision} changes the map by {noise:.2g} standard deviations (RMS)")
        if result.precision in QUANTIZED:
            _print_layers(manifest["quantization"])
        _print_threshold(result)
    if result.triton is not None:
        folder, device = Path(result.triton["folder"]), result.triton["device"].upper()
        _say(
            f"wrote {folder} for Triton's {result.triton['backend']} back end on the {device}; "
            f"next, {shlex.join(['tritonserver', f'--model-repository={folder.resolve().parent}'])}"
        )


def _print_threshold(result: ExportResult) -> None:
    from edgekd.verdicts.promise import promise_of, warnings_of
    from edgekd.verdicts.threshold import FEWEST_IMAGES

    threshold = result.threshold
    if threshold is not None:
        _say(f"threshold {threshold['value']:.6g}: {threshold['origin']}")
        _say(promise_of(threshold))
        for line in warnings_of(threshold):
            _say(f"note: {line}")
    elif result.manifest["trained"]:
        held_out = result.manifest["training"]["held_out_images"]
        _say(
            f"no threshold: it takes {FEWEST_IMAGES} good images that were held out, and there are {held_out}; "
            "give one to edgekd inspect --threshold, or set one with edgekd threshold --good DIR --write"
        )


def _print_layers(quantization: dict[str, Any]) -> None:
    maps = [f"the map of {name}" for name in quantization["maps_in_float"]]
    in_float, by_rule = quantization["layers_in_float"] + maps, quantization["in_float_by_rule"]
    left = f"; in float to meet --max-drift and to keep verdicts: {', '.join(in_float)}" if in_float else ""
    _say(f"{len(quantization['layers_in_int8'])} convolutions in INT8{left}")
    if quantization["flips"] is not None:
        _say(
            f"INT8 changes {100 * quantization['flips']:.2g} % of the verdicts on held-out images and synthetic defects"
        )
    if quantization["tuned_on"] is not None:
        faster, ratio = quantization["faster_in_float"], quantization["tuned_time_ratio"]
        found = f"{ratio:.2f} of the time with {', '.join(faster)} in float" if faster else "none is faster in float"
        _say(f"layers timed on {quantization['tuned_on']}: {found}")
    for reason in sorted(set(by_rule.values())):
        names = [name for name, why in by_rule.items() if why == reason]
        _say(f"{len(names)} in float by rule, {reason}")


def _say(line: str) -> None:
    answer.print(line, soft_wrap=True)
