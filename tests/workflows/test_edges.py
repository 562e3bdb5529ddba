"""A mark is found wherever it lies, at the edge and in the corner as in the middle, float and INT8."""

import itertools

import numpy as np
import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.graph.export import build_graph
from edgekd.models.registry import find_system
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.running import run_graph
from edgekd.recipe import TrainingRecipe, held_out_images
from edgekd.training.run import load_run, start_run, train, training_images
from edgekd.training.teachers.loading import load_teacher

from ..conftest import copy_images

SIZE, MARK = 64, 10
OPSET = 18
TRAINED_ON, UNSEEN = 80, 20
LITE0, LITE1 = "efficientnet_lite0", "efficientnet_lite1"
# The iterations and the batch in which a system learns enough, and its teacher.
MOMENTS = {
    "hkt": (60, 4, LITE1),
    "hkt_plus": (260, 1, LITE1),
    "mhkd": (120, 2, LITE1),
    "pfadseg": (100, 4, LITE0),
    "dskd": (60, 4, LITE0),
    "mthf": (60, 4, LITE0),
}


def marked(frames, top, left):
    """The frames with a white square in a black one, which neither the cell nor the dark around it looks like."""
    changed = frames.copy()
    changed[:, top : top + MARK, left : left + MARK] = 0
    changed[:, top + 3 : top + MARK - 3, left + 3 : left + MARK - 3] = 255
    return changed


def trained_moments(system, images, folder):
    """A run of a system on some images, with the defaults of a training within a time."""
    entry, (iterations, batch, name) = find_system(system), MOMENTS[system]
    teacher, timed = load_teacher(name), entry.timed
    recipe = TrainingRecipe(
        system,
        str(folder / "good"),
        {teacher.name: teacher.sha256},
        iterations=iterations,
        size=SIZE,
        batch=batch,
        learning_rate=timed.learning_rate,
        schedule=timed.schedule,
        optimizer=timed.optimizer,
        warm_up=timed.warm_up,
        initialisation=timed.initialisation,
        held_out_share=0.25,
        settings={**entry.timed_settings, entry.teacher_setting: (name,) if entry.several_teachers else name},
    )
    copy_images(images, folder / "good", SIZE)
    start_run(folder / "run", recipe, [teacher])
    train(folder / "run", torch.device("cpu"), lambda iteration, loss: None)
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("system", MOMENTS)
def test_a_mark_is_found_at_the_edge_and_in_the_corner_as_often_as_in_the_middle(system, elpv_images, tmp_path):
    # Neighbouring files are cells of one module: mixed, those held out look like those judged.
    chosen = np.random.default_rng(0).permutation(len(elpv_images))[: TRAINED_ON + UNSEEN]
    paths = [elpv_images[index] for index in chosen]
    detector, recipe = load_run(trained_moments(system, paths[:TRAINED_ON], tmp_path))
    good, unseen = read_frames(training_images(recipe)[:16], SIZE), read_frames(paths[TRAINED_ON:], SIZE)
    held_out = read_frames(held_out_images(recipe), SIZE)
    graph = build_graph(detector.requires_grad_(False), SIZE, None, OPSET)
    start, middle, end = 0, (SIZE - MARK) // 2, SIZE - MARK
    rows_and_columns = itertools.product((start, middle, end), repeat=2)
    places = [place for place in rows_and_columns if place != (middle, middle)]
    for model in (graph, to_int8(graph, good, "min-max", None)[0]):
        limit = run_graph(model, held_out).scores.max()
        in_the_middle = int((run_graph(model, marked(unseen, middle, middle)).scores > limit).sum())
        assert in_the_middle >= 0.75 * UNSEEN
        found = {place: int((run_graph(model, marked(unseen, *place)).scores > limit).sum()) for place in places}
        assert min(found.values()) >= in_the_middle - 1, (in_the_middle, found)
