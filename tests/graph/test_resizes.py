"""A bilinear resize of one map becomes two products; every other resize stays what it is."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.graph.resizes import resizes_as_products


class Resized(nn.Module):
    def __init__(self, size, mode):
        super().__init__()
        self.size, self.options = size, {"mode": mode} | ({} if mode == "nearest" else {"align_corners": False})

    def forward(self, maps):
        return functional.interpolate(maps, self.size, **self.options)


def graph_of(network, maps, batch=None):
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        network, (maps,), input_names=["maps"], opset_version=18, dynamic_shapes=dynamic, dynamo=True, verbose=False
    )
    return program.model_proto


def kinds(model):
    return {node.op_type for node in model.graph.node} & {"Resize", "MatMul"}


def run(model, maps):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"maps": maps.numpy()})[0]


@pytest.mark.parametrize(
    ("inputs", "outputs"), [((8, 8), (32, 32)), ((5, 9), (20, 31)), ((1, 3), (4, 6)), ((9, 7), (4, 3))]
)
def test_a_single_map_is_resized_by_two_products(inputs, outputs):
    maps = torch.randn(2, 1, *inputs)
    model = graph_of(Resized(outputs, "bilinear"), maps)
    expected = run(model, maps)
    resizes_as_products(model)
    onnx.checker.check_model(model, full_check=True)
    assert kinds(model) == {"MatMul"}
    assert run(model, maps).shape == expected.shape
    np.testing.assert_allclose(run(model, maps), expected, atol=1e-5)
    np.testing.assert_allclose(run(model, maps[:1]), expected[:1], atol=1e-5)


@pytest.mark.parametrize(("channels", "mode"), [(2, "bilinear"), (1, "nearest"), (1, "bicubic")])
def test_other_resizes_stay(channels, mode):
    maps = torch.randn(2, channels, 4, 6)
    model = graph_of(Resized((8, 12), mode), maps)
    before = model.SerializeToString()
    resizes_as_products(model)
    assert kinds(model) == {"Resize"}
    assert model.SerializeToString() == before
