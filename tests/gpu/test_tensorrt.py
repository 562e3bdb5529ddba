import numpy as np
import pytest

from edgekd.artifact import read_manifest
from edgekd.cli.main import main
from edgekd.data.good_pictures import read_frames
from edgekd.engines import open_engine
from edgekd.engines.tensorrt.flavours import RTX_CAPABILITIES, is_installed
from edgekd.profiling.bench import bench
from edgekd.runner import inspect_stream
from edgekd.runner.sources import picture_frames

pytestmark = pytest.mark.gpu


@pytest.fixture
def engine_file(gpu, exported, tmp_path):
    output = tmp_path / "x.engine"
    words = ["build", str(exported), "--output", str(output)]
    if not is_installed("tensorrt"):
        if gpu.capability not in RTX_CAPABILITIES or not is_installed("tensorrt_rtx"):
            pytest.skip(f"no TensorRT here builds for {gpu.capability}")
        words += ["--backend", "tensorrt-rtx", "--compute-capability", gpu.capability]
    assert main(words) == 0
    return output


def test_the_engine_says_what_the_graph_says(engine_file, exported, elpv_pictures):
    frames = read_frames(elpv_pictures[200:208], 64)
    with open_engine(exported, "openvino") as engine:
        expected = [engine.infer(frame[None]) for frame in frames]
    with open_engine(engine_file) as engine:
        for frame, wanted in zip(frames, expected, strict=True):
            outputs = engine.infer(frame[None])
            spread = float(np.ptp(wanted.anomaly_maps))
            assert np.abs(outputs.anomaly_maps - wanted.anomaly_maps).max() < 2e-2 * spread


def test_a_stream_is_answered_in_order(engine_file, elpv_pictures):
    paths = elpv_pictures[200:260]
    with open_engine(engine_file) as engine:
        alone = [float(engine.infer(frame[None]).scores[0]) for frame in read_frames(paths, 64)]
        streamed = [answer.result.score for answer in inspect_stream(engine, picture_frames(paths), 1.0)]
    np.testing.assert_allclose(streamed, alone, rtol=1e-5)


def test_a_bench_tells_the_stages_of_the_device(engine_file, elpv_pictures):
    pictures = list(read_frames(elpv_pictures[200:204], 64))
    with open_engine(engine_file) as engine:
        figures = bench(engine, read_manifest(engine_file), pictures, "4", [1], 1.0)
    assert {"enqueue", "h2d", "gpu_compute", "d2h"} <= set(figures["latency_ms"])
    assert figures["overlap"]["1"] > 0
    assert figures["engine"]["slots"] == 4
