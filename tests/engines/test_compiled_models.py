"""Graphs that OpenVINO compiled once are imported at the next start, with the same results, and nothing else is."""

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest

import edgekd.engines.cache as cache_module
import edgekd.engines.compiled_models as compiled_models
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine
from edgekd.engines.compiled_models import compile_for_cpu, compiled_path
from edgekd.engines.openvino import cpu_options
from edgekd.models.registry import SYSTEMS
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.lowering import to_int8

from ..graph.graphs import graph_of
from .hand_made import graph, grey_frame, save

GREY = graph().SerializeToString()
OPTIONS = cpu_options(1)
CORE = openvino.Core()
QUICK = {("hkt", "fp32"), ("hkt", "int8"), ("mhkd", "fp16")}  # Others take up to a minute to make.


class Counting:
    """OpenVINO's core, which counts what it compiles and imports."""

    def __init__(self):
        self.compiled = self.imported = 0

    def __getattr__(self, name):
        return getattr(CORE, name)

    def compile_model(self, *arguments):
        self.compiled += 1
        return CORE.compile_model(*arguments)

    def import_model(self, *arguments):
        self.imported += 1
        return CORE.import_model(*arguments)


@pytest.fixture
def core():
    return Counting()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Where compiled graphs are kept, empty."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "_unwritable", set())
    return tmp_path / "cache" / "openvino"


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


def compiled(core, content):
    return compile_for_cpu(core, content, digest_of(content), OPTIONS)


def kept_at(content):
    return compiled_path(CORE, digest_of(content), OPTIONS)


def outputs(network, frames):
    results = network.model(frames)
    return {name: results[name].tobytes() for name in ("score", "anomaly_map")}


def assert_works(network):
    assert network.model(grey_frame(7)[None])["score"].tolist() == [7.0]


@pytest.mark.parametrize(
    ("system", "precision"),
    [
        pytest.param(system, precision, marks=() if (system, precision) in QUICK else pytest.mark.slow)
        for system in SYSTEMS
        for precision in ("fp32", "fp16", "int8")
    ],
)
def test_an_imported_graph_gives_the_same_bits(system, precision, core, elpv_images):
    model = graph_of(system, tuple(elpv_images[:4]), 64, 4)
    frames = read_frames(elpv_images[:4], 64)
    if precision != "fp32":
        model = to_float16(model) if precision == "fp16" else to_int8(model, frames, "min-max", None)[0]
    content = model.SerializeToString()
    first, second = (compiled(core, content) for _ in range(2))
    assert (core.compiled, core.imported) == (1, 1)
    assert outputs(first, frames) == outputs(second, frames)


def test_an_imported_graph_of_any_batch_gives_the_same_bits(core, elpv_images):
    content = graph_of("hkt", tuple(elpv_images[:4]), 64, None).SerializeToString()
    first, second = (compiled(core, content) for _ in range(2))
    frames = read_frames(elpv_images[:4], 64)
    assert core.imported == 1
    for batch in (frames[:1], frames, frames[:2]):
        assert outputs(first, batch) == outputs(second, batch)


def test_an_imported_graph_keeps_its_inputs_and_outputs(core):
    first, second = (compiled(core, GREY) for _ in range(2))
    described = [
        [(port.get_any_name(), port.partial_shape, port.element_type) for port in (*model.inputs, *model.outputs)]
        for model in (first.model, second.model)
    ]
    assert core.imported == 1
    assert described[0] == described[1]
    assert [name for name, _, _ in described[0]] == ["frames", "score", "anomaly_map"]


def test_an_engine_opened_again_answers_the_same(exported, elpv_images, folder):
    answers = []
    for _ in range(2):
        with open_engine(exported, "openvino", threads=1) as engine:
            answers.append(engine.infer(read_frames(elpv_images[:1], 64)))
        assert len(list(folder.iterdir())) == 1
    assert np.array_equal(answers[0].anomaly_maps, answers[1].anomaly_maps)


def test_another_graph_option_version_processor_or_environment_is_another_file(monkeypatch, tmp_path):
    def path(content=GREY, options=OPTIONS, cpuinfo="model name\t: A\nflags\t\t: avx2\ncpu MHz\t\t: 1\n"):
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        return compiled_path(CORE, digest_of(content), options, tmp_path)

    first = path()
    others = {
        path(content=graph(batch=2).SerializeToString()),
        path(options=OPTIONS | {"INFERENCE_NUM_THREADS": 2}),
        path(options=OPTIONS | {"INFERENCE_PRECISION_HINT": "bf16"}),
        path(options=OPTIONS | {"PERF_COUNT": True}),
        path(cpuinfo="model name\t: B\nflags\t\t: avx2\n"),
        path(cpuinfo="model name\t: A\nflags\t\t: avx2 avx512_vnni\n"),
        path(cpuinfo=""),
    }
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "get_version", lambda: "2099.1.0-1-abc")
        others.add(path())
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        others.add(path())
    with monkeypatch.context() as patch:
        patch.setattr(compiled_models, "FORMAT", compiled_models.FORMAT + 1)
        others.add(path())
    assert len(others | {first}) == 11
    # Its clock and the number of its cores do not matter.
    assert path(cpuinfo="model name\t: A\nflags\t\t: avx2\ncpu MHz\t\t: 2\n" * 2) == first


@pytest.mark.parametrize(
    "damage",
    [lambda old: b"", lambda old: old[:20], lambda old: old[:-1], lambda old: old + b"x", lambda old: b"x" * len(old)],
)
def test_a_damaged_file_costs_one_line_and_is_written_anew(core, caplog, damage):
    compiled(core, GREY)
    path = kept_at(GREY)
    path.write_bytes(damage(path.read_bytes()))
    assert_works(compiled(core, GREY))
    assert [record.getMessage() for record in caplog.records] == [
        f"the compiled layers in {path} are damaged: they are compiled again"
    ]
    assert_works(compiled(core, GREY))
    assert (core.compiled, core.imported) == (2, 1)


def test_a_file_of_another_graph_under_this_ones_name_is_not_loaded(core, caplog):
    brighter = graph(batch=2).SerializeToString()
    compiled(core, brighter)
    path = kept_at(GREY)
    os.replace(kept_at(brighter), path)
    assert_works(compiled(core, GREY))
    assert len(caplog.records) == 1
    assert core.imported == 0


def test_what_openvino_refuses_is_compiled_again(core, caplog):
    path = kept_at(GREY)
    cache_module.KeptFile(path, "x", logging.getLogger("x")).write(b"not OpenVINO's" * 100)
    assert_works(compiled(core, GREY))
    assert [record.getMessage() for record in caplog.records] == [
        f"the compiled layers in {path} are refused by OpenVINO: they are compiled again"
    ]
    assert_works(compiled(core, GREY))
    assert (core.compiled, core.imported) == (1, 2)


def test_a_folder_that_cannot_be_written_costs_one_line_in_all(core, caplog, folder):
    folder.parent.write_text("a file where the folder should be")
    for _ in range(3):
        assert_works(compiled(core, GREY))
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("the compiled layers are not kept, and the next start compiles them again: cannot write")


def test_a_file_that_cannot_be_read_costs_one_line(core, caplog):
    kept_at(GREY).mkdir(parents=True)
    assert_works(compiled(core, GREY))
    assert len(caplog.records) == 1


def test_a_full_disk_costs_one_line_and_leaves_nothing_half_written(core, caplog, small_disk, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(small_disk))
    (small_disk / "filler").write_bytes(bytes((2 << 20) - 4096))
    assert_works(compiled(core, GREY))
    assert len(caplog.records) == 1
    assert list((small_disk / "openvino").iterdir()) == []


def test_what_was_not_used_for_longest_goes_beyond_the_limit(core, monkeypatch, folder):
    graphs = [graph(batch=batch).SerializeToString() for batch in (1, 2, 3)]
    paths = [kept_at(content) for content in graphs]
    for age, (content, path) in enumerate(zip(graphs[:2], paths[:2], strict=True)):
        compiled(core, content)
        os.utime(path, (1000 + age, 1000 + age))
    left = folder / ".x.1.part.blob"  # Of a process that was killed while it wrote.
    left.write_bytes(b"x")
    os.utime(left, (10, 10))
    compiled(core, graphs[0])  # Used again: now the other one is the oldest.
    monkeypatch.setattr(compiled_models, "MOST_BYTES", int(2.5 * paths[0].stat().st_size))
    compiled(core, graphs[2])
    assert set(folder.iterdir()) == {paths[0], paths[2]}


def test_processes_that_start_together_do_not_harm_each_other(tmp_path, folder):
    path = save(graph(), tmp_path)
    program = (
        "import sys, edgekd, numpy\n"
        "for _ in range(5):\n"
        "    with edgekd.open_engine(sys.argv[1], 'openvino', threads=1) as engine:\n"
        "        assert engine.infer(numpy.full((1, 16, 16, 3), 7, numpy.uint8)).scores == [7]\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path.cwd()) for _ in range(4)]
    ended = [(process.communicate()[1], process.returncode) for process in started]
    assert ended == [("", 0)] * 4
    assert len(list(folder.iterdir())) == 1


def test_a_graph_that_openvino_does_not_take_is_not_kept(core, folder):
    with pytest.raises(RuntimeError):
        compiled(core, b"no graph")
    assert not folder.exists()
