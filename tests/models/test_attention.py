import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgekd.models.attention import AFF, PCAR, RCM, SPR, PooledBatchNorm

from .written_out import drawn, normalise_batch, pointwise


def test_spr_gates_by_the_mean_of_the_map_and_of_its_quarters():
    spr, x = drawn(SPR(32)), torch.randn(2, 32, 6, 4)
    assert (spr.squeeze.weight.shape, spr.excite.weight.shape) == ((2, 160, 1, 1), (32, 2, 1, 1))
    quarters = [
        x[:, :, rows, columns].mean((2, 3)) for rows in (slice(3), slice(3, 6)) for columns in (slice(2), slice(2, 4))
    ]
    pyramid = torch.cat([x.mean((2, 3)), torch.stack(quarters, dim=2).reshape(2, 128)], dim=1)
    hidden = torch.relu(pyramid @ spr.squeeze.weight[:, :, 0, 0].T + spr.squeeze.bias)
    expected = torch.sigmoid(hidden @ spr.excite.weight[:, :, 0, 0].T + spr.excite.bias)
    torch.testing.assert_close(spr(x)[:, :, 0, 0], expected)


@pytest.mark.parametrize("shared", [True, False])
def test_pcar_weighs_its_three_branches_against_each_other_channel_by_channel(shared):
    pcar, x = drawn(PCAR(16, shared)), torch.randn(2, 16, 4, 4)
    maps = [normalise_batch(norm, functional.conv2d(x, conv.weight, padding=1)) for conv, norm in pcar.branches]
    assert all(conv.bias is None for conv, _ in pcar.branches)
    gates = [pcar.gates[0 if shared else index](entry) for index, entry in enumerate(maps)]
    total = gates[0].exp() + gates[1].exp() + gates[2].exp()
    expected = sum(gate.exp() / total * entry for gate, entry in zip(gates, maps, strict=True))
    torch.testing.assert_close(pcar(x), expected)


def test_aff_weighs_main_and_shortcut_by_local_and_global_context():
    aff, main, shortcut = drawn(AFF(8)), torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)

    def context(layers, x):
        squeeze, norm, _, excite, last_norm = layers
        assert squeeze.weight.shape == (2, 8, 1, 1)
        hidden = torch.relu(normalise_batch(norm, pointwise(squeeze, x)))
        return normalise_batch(last_norm, pointwise(excite, hidden))

    both = main + shortcut
    pooled = both.mean((2, 3), keepdim=True)
    gate = torch.sigmoid(context(aff.local_context, both) + context(aff.global_context, pooled))
    torch.testing.assert_close(aff(main, shortcut), 2 * main * gate + 2 * shortcut * (1 - gate))


def test_rcm_gates_by_rows_and_columns_and_starts_as_the_identity():
    rcm, x = drawn(RCM(4)), torch.randn(2, 4, 6, 5)
    torch.testing.assert_close(rcm(x), x, rtol=0, atol=1e-4)
    assert torch.equal(rcm.scale, torch.full((4, 1, 1), 1e-6))
    rcm.scale.copy_(torch.randn(4, 1, 1))
    across, norm, _, down, _ = rcm.excite
    assert (across.weight.shape, down.weight.shape) == ((4, 1, 1, 11), (4, 1, 11, 1))
    strips = x.mean(3, keepdim=True) + x.mean(2, keepdim=True)
    wide = functional.conv2d(functional.pad(strips, (5, 5)), across.weight, across.bias, groups=4)
    wide = torch.relu(normalise_batch(norm, wide))
    gate = torch.sigmoid(functional.conv2d(functional.pad(wide, (0, 0, 5, 5)), down.weight, down.bias, groups=4))
    local = functional.conv2d(x, rcm.local.weight, rcm.local.bias, padding=1, groups=4)
    widen, _, narrow = rcm.mix
    hidden = pointwise(widen, normalise_batch(rcm.norm, gate * local))
    assert hidden.shape[1] == 8
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(rcm(x), x + rcm.scale * pointwise(narrow, hidden))


def both_batch_norms():
    """A pooled batch norm and a usual one with the same weights and statistics."""
    pooled, usual = drawn(PooledBatchNorm(6)), nn.BatchNorm2d(6)
    usual.load_state_dict(pooled.state_dict())
    return pooled, usual


@pytest.mark.parametrize(("training", "shape"), [(True, (16, 6, 1, 1)), (True, (4, 6, 2, 2)), (False, (2, 6, 1, 1))])
def test_a_pooled_batch_norm_is_the_usual_one_from_16_values_on_and_in_inference(training, shape):
    pooled, usual = both_batch_norms()
    x = torch.randn(shape)
    assert torch.equal(pooled.train(training)(x), usual.train(training)(x))
    assert all(torch.equal(a, b) for a, b in zip(pooled.buffers(), usual.buffers(), strict=True))


def test_a_pooled_batch_norm_of_few_values_normalises_by_running_statistics_that_the_batch_has_updated():
    pooled, usual = both_batch_norms()
    x = torch.randn(2, 6, 1, 1)
    usual.train()(x)
    torch.testing.assert_close(pooled.train()(x), usual.eval()(x))
    assert all(torch.equal(a, b) for a, b in zip(pooled.buffers(), usual.buffers(), strict=True))


def test_affs_gradient_does_not_grow_as_two_images_become_alike():
    torch.manual_seed(0)
    aff, image, other = drawn(AFF(32)).train(), torch.randn(1, 32, 4, 4), torch.randn(1, 32, 4, 4)
    out, largest = torch.randn(2, 32, 4, 4), {}
    for apart in (1.0, 1e-3):
        x = torch.cat([image, image + apart * other]).requires_grad_()
        (copy.deepcopy(aff)(x, x.flip(1)) * out).sum().backward()
        largest[apart] = float(x.grad.abs().max())
    assert largest[1e-3] < 2 * largest[1.0]
