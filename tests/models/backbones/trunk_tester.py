"""What every network of inverted residual blocks must do: inherit from this class, and its tests are there."""

import pytest
import torch
from torch import nn

from edgekd.models.backbones.registry import build_backbone
from edgekd.models.counting import count

STRIDES = (4, 8, 16, 32)


class TrunkTester:
    """Subclasses name the network and what torchvision publishes of it.

    Attributes:
        name: Of the network.
        parameters: Of the whole classifier.
        gmacs: Of the whole classifier at 224 pixels, to three decimals.
        channels: Of the maps at strides 4, 8, 16 and 32.
        last: Index in `features` of the last layer at strides 4, 8, 16 and 32.
        parameters_to_stride_16: Of the network truncated to stride 16.
        activation: Of the head.
    """

    name: str
    parameters: int
    gmacs: float
    channels: tuple[int, int, int, int]
    last: tuple[int, int, int, int]
    parameters_to_stride_16: int

    @staticmethod
    def activation(x):
        raise NotImplementedError

    def build(self):
        torch.manual_seed(0)
        return build_backbone(self.name).eval()

    def test_parameters_and_macs_are_those_that_torchvision_publishes(self):
        counted = count(build_backbone(self.name), 224)
        assert counted.parameters == self.parameters
        assert round(counted.macs / 1e9, 3) == self.gmacs

    @pytest.mark.parametrize(("height", "width"), [(96, 64), (97, 72)])
    def test_features_have_the_grid_and_the_width_of_their_stride(self, height, width):
        with torch.device("meta"):
            maps = build_backbone(self.name).features(torch.empty(2, 3, height, width), STRIDES)
        assert [tuple(layer.shape) for layer in maps] == [
            (2, channels, -(-height // stride), -(-width // stride))
            for channels, stride in zip(self.channels, STRIDES, strict=True)
        ]

    @pytest.mark.parametrize("place", range(len(STRIDES)))
    def test_strides_end_at_the_layers_that_torchvisions_files_number(self, place):
        network, images = self.build(), torch.randn(1, 3, 64, 64)
        with torch.inference_mode():
            (layer,) = network.features(images, (STRIDES[place],))
            expected = nn.Sequential(*list(network.features)[: self.last[place] + 1])(images)
        torch.testing.assert_close(layer, expected)

    def test_batch_norms_have_the_epsilon_of_torchvisions_training(self):
        network = build_backbone(self.name)
        assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}

    def test_nothing_behind_the_deepest_stride_is_computed(self):
        network, run = self.build(), []
        for index, layer in enumerate(network.features):
            layer.register_forward_hook(lambda *_, index=index: run.append(index))
        with torch.inference_mode():
            network.features(torch.randn(1, 3, 32, 32), (4, 8))
        assert run == list(range(self.last[1] + 1))

    def test_truncated_it_gives_the_same_features_and_holds_no_more(self):
        network, images = self.build(), torch.randn(1, 3, 64, 64)
        names = list(network.state_dict())
        behind = tuple(f"features.{index}." for index in range(self.last[2] + 1, len(network.features)))
        with torch.inference_mode():
            before = network.features(images, (4, 8, 16))
            network.truncate(16)
            network.truncate(16)
            after = network.features(images, (4, 8, 16))
        assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
        assert sum(parameter.numel() for parameter in network.parameters()) == self.parameters_to_stride_16
        kept = [name for name in names if not name.startswith((*behind, "classifier."))]
        assert list(network.state_dict()) == kept

    def test_the_logits_are_the_classifier_of_the_pooled_head(self):
        network, images = self.build(), torch.randn(2, 3, 64, 64)
        head = network.features[self.last[3] + 1]
        with torch.inference_mode():
            (last,) = network.features(images, (32,))
            pooled = nn.functional.adaptive_avg_pool2d(self.activation(head[1](head[0](last))), 1).flatten(1)
            torch.testing.assert_close(network(images), network.classifier[1](pooled))
