"""Each setting of each system trains, can be exported, and its graph agrees with torch; so does a rectangle.

The cases come from the registry: a system without changes, and each setting with each other value that it takes.
"""

import math

import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine
from edgekd.graph.export import export_detector
from edgekd.graph.parity import TOLERANCE
from edgekd.models.registry import SYSTEMS
from edgekd.preprocessing import Preprocessing, parse_size

from ..models.detector_tester import drawn_detector, real_images, training_batch

SIZE = 64
LIGHT_TEACHERS = ("efficientnet_lite0", "efficientnet_lite1")
STEPS = 2


def other_values(system, name, default):
    """The values of a setting besides its default; of a number, half of it."""
    if name in system.setting_choices():
        return [choice for choice in system.setting_choices()[name] if choice != default]
    return [not default] if isinstance(default, bool) else [type(default)(default / 2)]


def is_slow(system, change):
    """Whether a case is left to `make slow`: all but HKT's, and of DSKD and MHKD the setting that changes the most."""
    number = any(type(value) in (int, float) for value in change.values())
    quick = {"dskd": {"students": "reverse"}, "mhkd": {"self_distillation": False}}
    return not change or number or not (system.name == "hkt" or quick.get(system.name) == change)


def cases():
    found = []
    for system in SYSTEMS.values():
        changes = [{}]
        for name, default in system.settings().items():
            changes += [{name: value} for value in other_values(system, name, default)]
        for change in changes:
            name = "-".join([system.name, *(f"{key}={value}" for key, value in change.items())])
            found.append(
                pytest.param(system, change, id=name, marks=[pytest.mark.slow] if is_slow(system, change) else [])
            )
    return found


@pytest.mark.parametrize(("system", "change"), cases())
def test_a_setting_trains_and_its_graph_agrees_with_torch(system, change, elpv_images, tmp_path):
    manifest = trained_and_exported(system, change, SIZE, elpv_images, tmp_path)
    assert set(manifest["parity"]) == {"onnxruntime", "openvino"}
    assert system.name == "pfadseg" or manifest["parity"]["onnxruntime"]["map"] <= TOLERANCE  # See measure_parity.


# MHKD's bottleneck, decoders and maps all follow the size, so it stands for the others where there is little time.
@pytest.mark.parametrize(("height", "width"), [(64, 128), pytest.param(128, 64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "system",
    [
        pytest.param(system, id=name, marks=[] if name == "mhkd" else [pytest.mark.slow])
        for name, system in SYSTEMS.items()
    ],
)
def test_a_rectangle_trains_and_its_graph_agrees_with_torch(system, height, width, elpv_images, tmp_path):
    manifest = trained_and_exported(system, system.timed_settings, (height, width), elpv_images, tmp_path)
    assert manifest["inputs"]["frames"]["shape"] == [1, height, width, 3]
    assert manifest["outputs"]["anomaly_map"]["shape"] == [1, height, width]
    assert system.name == "pfadseg" or manifest["parity"]["onnxruntime"]["map"] <= TOLERANCE
    with open_engine(tmp_path / "x.onnx", "onnxruntime") as engine:
        frame = read_frames(elpv_images[3:4], engine.preprocessing)
        assert engine.infer(frame).anomaly_maps.shape == (1, height, width)


def trained_and_exported(system, change, size, elpv_images, tmp_path):
    """The manifest of a system that was trained for two steps."""
    teachers = LIGHT_TEACHERS if system.several_teachers else LIGHT_TEACHERS[0]
    detector = drawn_detector(system.name, {system.teacher_setting: teachers, **change}, size, seed=0)
    images = real_images(tuple(elpv_images[:3]), size)
    detector.prepare(detector.targets(image[None]) for image in images)
    for stage in detector.stages():
        optimizer = torch.optim.Adam(stage.trainable.train().parameters(), 1e-4)
        for _ in range(STEPS):
            loss = stage.loss(training_batch(images))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert math.isfinite(loss.item())
        stage.trainable.eval()
    detector.fit_quantiles(image[None] for image in images)
    detector.fit_places(image[None] for image in images)
    detector.requires_grad_(False)
    frames = read_frames(elpv_images[3:4], Preprocessing(*parse_size(size)))
    return export_detector(detector, system.name, size, 1, frames, tmp_path / "x.onnx", {"made_from": {}})
