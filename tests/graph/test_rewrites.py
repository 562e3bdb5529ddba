"""Each plugin-free equivalent says what its block says, in double precision, with batch norms that have lived."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.graph.rewrites import REWRITES, Spread, StaticSPR, rewrite, static_resize
from edgekd.models.attention import AFF, CBAM, HAM, PCAR, RCM, SPR
from edgekd.models.maps import SeparableMap
from edgekd.models.mhkd import BicubicResize
from edgekd.models.pfadseg import ASPP
from edgekd.models.registry import find_system

SHAPES = [(2, 32, 8, 12), (1, 16, 2, 2), (3, 17, 6, 4)]


def lived(block):
    """A block in double precision whose every number was drawn, batch norms' statistics among them."""
    generator = torch.Generator().manual_seed(0)
    for tensor in [*block.parameters(), *block.buffers()]:
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator) * 0.8 + 0.1
            if tensor.dim() > 1:
                tensor.data -= 0.5
    return block.double().eval()


def equivalent(block):
    """The block behind the rewriting that export does."""
    return rewrite(nn.ModuleList([copy.deepcopy(block)]))[0]


def assert_same(block, *inputs):
    static = equivalent(block)
    with torch.inference_mode():
        torch.testing.assert_close(static(*inputs), block(*inputs), rtol=1e-10, atol=1e-12)
    return static


@pytest.mark.parametrize("shape", SHAPES)
def test_spr_is_one_average_pool_and_one_2_x_2_convolution(shape):
    static = assert_same(lived(SPR(shape[1])), torch.randn(shape).double())
    assert isinstance(static, StaticSPR)
    assert static.squeeze.kernel_size == (2, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shared", [True, False])
def test_pcars_softmax_is_exponentials_and_their_sum(shape, shared):
    assert_same(lived(PCAR(shape[1], shared)), torch.randn(shape).double())


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_aff_and_rcm_keep_their_answers(shape):
    x, y = torch.randn(shape).double(), torch.randn(shape).double()
    assert_same(lived(AFF(shape[1])), x, y)
    static = assert_same(lived(RCM(shape[1])), x)
    assert not any(isinstance(module, nn.BatchNorm2d | nn.AdaptiveAvgPool2d) for module in static.modules())


@pytest.mark.parametrize("shape", SHAPES)
def test_aspps_pool_is_a_mean_at_every_position(shape):
    static = assert_same(lived(ASPP(shape[1])), torch.randn(shape).double())
    assert not any(isinstance(module, nn.BatchNorm2d | nn.AdaptiveAvgPool2d) for module in static.modules())


@pytest.mark.parametrize("block", [CBAM, HAM])
def test_both_forms_of_the_hybrid_gate_are_rewritten(block):
    static = assert_same(lived(block(32)), torch.randn(2, 32, 5, 7).double())
    assert type(static) is not block


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [((1, 1), (4, 4)), ((1, 1), (1, 4)), ((4, 8), (8, 16)), ((1, 2), (2, 4)), ((33, 17), (64, 32)), ((8, 8), (3, 3))],
)
def test_a_bicubic_resize_is_two_constant_products(inputs, outputs):
    x = torch.randn(2, 3, *inputs)
    static = static_resize(BicubicResize(inputs, outputs))
    assert isinstance(static, Spread if inputs == (1, 1) else SeparableMap)
    expected = functional.interpolate(x.double(), outputs, mode="bicubic", align_corners=False)
    torch.testing.assert_close(static(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("convolution", "becomes"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.Conv2d),
        (nn.ConvTranspose2d(4, 6, 2, 2, bias=False), nn.Sequential),
        (nn.ConvTranspose2d(4, 6, 4, 2, padding=1, bias=False), nn.ConvTranspose2d),
    ],
)
def test_a_batch_norm_behind_a_convolution_is_folded(convolution, becomes):
    layers = lived(nn.Sequential(copy.deepcopy(convolution), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6)))
    folded = assert_same(layers, torch.randn(2, 4, 6, 6).double())
    assert [type(layer) for layer in folded] == [becomes, nn.ReLU, nn.BatchNorm2d]


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("mhkd", {"teacher": "pdn_small"}),
        ("pfadseg", {"backbone": "efficientnet_lite0"}),
        ("pfadseg", {"backbone": "efficientnet_lite0", "rcm": False}),
        ("dskd", {"backbone": "efficientnet_lite0"}),
        ("mthf", {"groups": ["efficientnet_lite0"]}),
    ],
)
def test_a_rewritten_system_has_no_such_block_left_and_says_the_same(system, settings):
    torch.manual_seed(0)
    deployed = find_system(system).detector(64, settings).eval().deployed().eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        scores, maps = deployed(images)
        rewritten = rewrite(copy.deepcopy(deployed))
        again, same_maps = rewritten(images)
    assert not any(type(module) in REWRITES for module in rewritten.modules())
    for layers in rewritten.modules():
        if type(layers) is nn.Sequential:
            pairs = zip(list(layers)[:-1], list(layers)[1:], strict=True)
            assert not any(isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d) for a, b in pairs)
    torch.testing.assert_close(same_maps, maps, rtol=1e-4, atol=1e-5 * float(maps.abs().max()))
    torch.testing.assert_close(again, scores, rtol=1e-4, atol=1e-5 * float(maps.abs().max()))


@pytest.mark.parametrize("bias", [True, False])
def test_a_transposed_convolution_without_overlap_is_laid_side_by_side(bias):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(6, 5, 2, 2, bias=bias)
    x = torch.randn(2, 6, 7, 9)
    laid = rewrite(nn.Sequential(layer))
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in laid.modules())
    with torch.no_grad():
        torch.testing.assert_close(laid(x), layer(x))


def test_a_transposed_convolution_with_overlap_stays():
    assert isinstance(rewrite(nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, padding=1)))[0], nn.ConvTranspose2d)
