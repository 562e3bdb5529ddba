"""What every system must do: inherit from this class, name the system, and its tests are there."""

from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.errors import EdgekdError
from edgekd.graph.parity import RESOLUTION
from edgekd.models.detector import Batch
from edgekd.models.normalisation import normalise
from edgekd.models.registry import find_system
from edgekd.preprocessing import parse_size
from edgekd.recipe import TrainingRecipe
from edgekd.training.run import untrained_detector
from edgekd.training.weight_files import write_weights


@cache
def real_images(paths, size):
    """Normalised images [N, 3, height, width] of images."""
    frames = np.stack([resize_image(read_image(path), *parse_size(size)) for path in paths])
    return normalise(torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2))


def drawn_detector(system, settings, size, seed):
    torch.manual_seed(seed)
    return find_system(system).detector(size, dict(settings)).eval()


@cache
def prepared_detector(system, settings, paths, size):
    """An untrained detector prepared on real images, so that what it measures is not what it starts with."""
    images, detector = real_images(paths, size), drawn_detector(system, settings, size, 0)
    detector.prepare(detector.targets(images[index : index + 1]) for index in range(len(images)))
    for stage in detector.stages():  # Batch norms see real images, so that folding them is put to the test.
        stage.trainable.train()
        with torch.no_grad():
            stage.loss(training_batch(images))
        stage.trainable.eval()
    detector.fit_quantiles(images[index : index + 1] for index in range(len(images)))
    detector.fit_places(images[index : index + 1] for index in range(len(images)))
    return detector.eval()


def training_batch(images):
    """A batch with everything that any stage may want: a square of noise for an anomaly."""
    corrupted, masks = images.clone(), torch.zeros(len(images), *images.shape[2:])
    corrupted[:, :, 8:32, 12:36] = torch.randn(len(images), 3, 24, 24, generator=torch.Generator().manual_seed(0))
    masks[:, 8:32, 12:36] = 1
    return Batch(images, corrupted=corrupted, masks=masks)


class DetectorTester:
    """Subclasses name the system, its settings and, where 64 pixels are not legal, the size."""

    system: str
    settings: tuple[tuple[str, object], ...] = ()
    size = 64
    learning_rate = 1e-4
    illegal_size: int
    nearest_legal_sizes: tuple[int, ...]

    def build(self, seed=0):
        return drawn_detector(self.system, self.settings, self.size, seed)

    @pytest.fixture
    def images(self, elpv_images):
        return real_images(tuple(elpv_images[:3]), self.size)

    @pytest.fixture
    def detector(self, elpv_images):
        """Shared by the tests, so they leave it as it is."""
        return prepared_detector(self.system, self.settings, tuple(elpv_images[:3]), self.size)

    def test_training_lowers_the_loss_on_real_images(self, images):
        detector = self.build()
        detector.prepare(iter([detector.targets(images)]))
        batch = training_batch(images[:2])
        for stage in detector.stages():
            optimizer = torch.optim.Adam(stage.trainable.train().parameters(), self.learning_rate)
            losses = []
            for _ in range(4):
                torch.manual_seed(0)  # The same dropout in each step.
                loss = stage.loss(batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            stage.trainable.eval()
            # Not at each step: batch norms over two small images make a deep network's loss jump.
            assert losses[-1] < losses[0], (stage.name, losses)

    def test_each_stage_trains_its_own_part_alone(self, detector, images):
        for stage in detector.stages():
            stage.loss(training_batch(images[:1])).backward()
            learning = {id(parameter) for parameter in stage.trainable.parameters()}
            for name, parameter in detector.named_parameters():
                assert (id(parameter) in learning) == (parameter.grad is not None), (stage.name, name)
                parameter.grad = None

    def test_the_stages_rates_cover_what_they_train(self, detector):
        trained = set()
        for stage in detector.stages():
            parts = [part for part, _ in stage.rates] or [stage.trainable]
            rated = [id(parameter) for part in parts for parameter in part.parameters()]
            assert sorted(rated) == sorted(id(parameter) for parameter in stage.trainable.parameters())
            trained |= set(rated)
        assert trained <= {id(parameter) for parameter in detector.trainable().parameters()}

    def test_kept_targets_give_the_same_loss_as_asking_the_teacher(self, detector, images):
        batch = training_batch(images)
        with torch.no_grad():
            asked = detector.training_loss(batch)
            kept = detector.training_loss(batch._replace(targets=detector.ready_targets(detector.targets(images))))
        assert torch.equal(asked, kept)

    def test_maps_and_scores_have_their_shapes_and_are_finite(self, detector, images):
        maps, scores = detector.anomaly_map(images), detector.image_scores(images)
        assert maps.shape == (len(images), self.size, self.size)
        assert scores.shape == (len(images),)
        assert torch.isfinite(maps).all()
        assert torch.isfinite(scores).all()
        assert maps.std() > 0

    def test_saved_and_loaded_it_predicts_the_same(self, detector, images, tmp_path):
        write_weights(tmp_path / "detector.safetensors", detector.state_dict())
        other = self.build(seed=1).eval()
        assert not torch.equal(other.image_scores(images), detector.image_scores(images))
        other.load_state_dict(load_file(tmp_path / "detector.safetensors"))
        assert torch.equal(other.anomaly_map(images), detector.anomaly_map(images))
        assert torch.equal(other.image_scores(images), detector.image_scores(images))

    def test_the_deployed_form_predicts_what_the_training_form_predicts(self, detector, images):
        with torch.inference_mode():
            scores, maps = detector.deployed().eval()(images)
        reference = detector.anomaly_map(images)
        # Of the map's range, or what float32 resolves where an untrained map hardly varies.
        spread, largest = float(reference.max() - reference.min()), float(reference.abs().max())
        atol = max(1e-5 * spread, RESOLUTION * largest)
        torch.testing.assert_close(maps, reference, rtol=1e-5, atol=atol)
        torch.testing.assert_close(scores, detector.image_scores(images), rtol=1e-5, atol=atol)

    def test_deploying_leaves_the_detector_as_it_was(self, detector, images):
        before = {key: value.clone() for key, value in detector.state_dict().items()}
        deployed = detector.deployed()
        for parameter in deployed.parameters():
            parameter.data.zero_()
        after = detector.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)

    def test_an_image_is_judged_alone_whatever_is_beside_it(self, detector, images):
        together = detector.image_scores(images)
        alone = torch.cat([detector.image_scores(images[index : index + 1]) for index in range(len(images))])
        torch.testing.assert_close(alone, together, rtol=2e-5, atol=1e-7)

    def test_the_same_seed_draws_the_same_weights(self):
        first, again, other = (self.build(seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_an_illegal_size_is_refused_and_the_nearest_legal_ones_are_named(self):
        detector = self.build()
        assert detector.legal_sizes_near(self.size) == (self.size,)
        assert detector.legal_sizes_near(self.illegal_size) == self.nearest_legal_sizes
        named = " or ".join(map(str, self.nearest_legal_sizes))
        with pytest.raises(EdgekdError, match=f"{self.illegal_size} pixels a side: use {named}"):
            untrained_detector(
                TrainingRecipe(self.system, "", {}, iterations=0, size=self.illegal_size, settings=dict(self.settings))
            )
