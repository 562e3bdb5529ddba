"""How a training differs from its paper's: the same judgement for a run here and for an artifact from anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from edgekd.artifact import Manifest
from edgekd.data.good_images import held_out_count
from edgekd.paper_setups import DTD_IMAGES, PaperSetup

NOT_RECORDED = "not recorded in this artifact; export it again from its run"
NOT_COUNTED = "not recorded: the run is of an earlier version"
ORIGINS = {"random": "drawn at random", "images": "scaled on good images"}  # Of the initial weights.


def training_differences(manifest: Manifest, setup: PaperSetup) -> Iterator[str]:
    """What differs in the training of an artifact, a line each: what it is here, and what it is in the paper.

    Args:
        manifest: The artifact's.
        setup: The paper's.
    """
    if not manifest.get("trained"):
        yield "training: none, so the figures mean nothing"
        return
    teachers = " + ".join(teacher["name"] for teacher in manifest.get("teachers", []))
    theirs = " + ".join(setup.teachers)
    if teachers != theirs:
        yield f"teacher: {teachers}; the paper's {theirs}"
    record = manifest.get("training")
    if setup.iterations is not None and manifest["iterations"] != setup.iterations:
        yield f"iterations: {manifest['iterations']:,}; the paper's {setup.iterations:,}"
    if record is None:
        yield f"batch, learning rate, schedule, arithmetic, textures, settings, held-out share: {NOT_RECORDED}"
        return
    if setup.epochs is not None:
        yield from _of_epochs(manifest["iterations"], record, setup.epochs)
    yield from _of_optimizer(record, setup)
    if record["augment"]:
        yield f"augmentation: {', '.join(record['augment'])}; the paper's none"
    yield from _of_arithmetic(record)
    yield from _of_settings(record["settings"])
    if setup.textures and record["synthetic_anomalies"]:
        yield from _of_textures(record["textures"])
    yield from _of_split(record, setup.held_out_share)


def _of_epochs(iterations: int, record: Mapping[str, Any], epochs: int) -> Iterator[str]:
    images = record["trained_images"]
    if images is None:
        yield f"epochs: {NOT_COUNTED}"
        return
    steps = math.ceil(images / record["batch"])
    if iterations != epochs * steps:
        yield f"iterations: {iterations:,}, {iterations / steps:.3g} epochs; the paper's {epochs} epochs"


def _of_optimizer(record: Mapping[str, Any], setup: PaperSetup) -> Iterator[str]:
    if record["batch"] != setup.batch:
        yield f"batch: {record['batch']}; the paper's {setup.batch}"
    if record["learning_rate"] != setup.learning_rate:
        yield f"learning rate: {record['learning_rate']:g}; the paper's {setup.learning_rate:g}"
    if record["schedule"] != setup.schedule or record["warm_up"]:
        rising = f" after a warm-up of {record['warm_up']:.0%}" if record["warm_up"] else ""
        yield f"schedule: {record['schedule']}{rising}; the paper's {setup.schedule}"
    if record["optimizer"] != setup.optimizer:
        yield f"optimizer: {record['optimizer']}; the paper's {setup.optimizer}"
    if record["weight_decay"] != setup.weight_decay:
        yield f"weight decay: {record['weight_decay']:g}; the paper's {setup.weight_decay:g}"
    if record["initialisation"] != "random":
        yield f"initial weights: {ORIGINS[record['initialisation']]}; the paper's {ORIGINS['random']}"


def _of_arithmetic(record: Mapping[str, Any]) -> Iterator[str]:
    start = record["quantization_aware_from"]
    if start is not None:
        yield f"arithmetic: as INT8 from iteration {start:,} on; the paper's float32"
    elif record["arithmetic"] != "float32":
        yield f"arithmetic: {record['arithmetic']}; the paper's float32"


def _of_settings(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, values in settings.items():
        yield f"setting {name}: {_word(values['value'])}; the paper's {_word(values['paper'])}"


def _word(value: object) -> str:
    """A setting's value as it is written after --set."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _of_textures(textures: int | None) -> Iterator[str]:
    theirs = f"the {DTD_IMAGES:,} of the Describable Textures Dataset"
    if textures is None:
        yield f"textures: {NOT_COUNTED}"
    elif textures != DTD_IMAGES:
        yield f"textures: {f'{textures:,} images' if textures else 'noise'}; the paper's {theirs}"


def _of_split(record: Mapping[str, Any], share: float | None) -> Iterator[str]:
    """Held-out images that the paper trains on, or the other way round; a dataset's own split is everybody's."""
    if record["own_validation"]:
        return
    held_out, trained = record["held_out_images"], record["trained_images"]
    if trained is None:
        yield f"good images held out: {NOT_COUNTED}"
        return
    expected = held_out_count(held_out + trained, share)
    if held_out != expected:
        yield f"good images held out: {held_out} of {held_out + trained}; the paper's {expected or 'none'}"
