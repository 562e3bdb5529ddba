"""How each paper trains its system: the one place that says so. Training reads it, and evaluations compare with it.

Nothing here needs torch: a station compares its detector with the paper's too.
"""

from __future__ import annotations

from typing import NamedTuple


class PaperSetup(NamedTuple):
    """How a paper trains; where it leaves something open, a choice of ours (docs/systems.md names them).

    Attributes:
        teachers: As `edgekd teachers list` calls them.
        iterations: Optimizer steps of all stages together; None where the paper counts epochs.
        epochs: Passes over the good images, of all stages together; None where it counts iterations.
        sizes: Sides of its images, squares, in pixels; the first is that of `--preset paper`.
        batch: Images a step.
        learning_rate: Of the first stage.
        weight_decay: Of the optimizer.
        schedule: Of the learning rate: "constant", "step" (a tenth of it for the last twentieth) or "cosine" (to 0).
        optimizer: "adam", or "sgd" with momentum 0.9.
        betas: Adam's.
        textures: Whether synthetic anomalies take their texture from the Describable Textures Dataset.
        held_out_share: Share of the good training images that it holds out, where the dataset has none of its own for
            that; None for ours, as `edgekd.data.good_images.split_good_images` has it.
    """

    teachers: tuple[str, ...]
    iterations: int | None = None
    epochs: int | None = None
    sizes: tuple[int, ...] = (256,)
    batch: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    schedule: str = "constant"
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    textures: bool = False
    held_out_share: float | None = 0.0

    def has_size(self, height: int, width: int) -> bool:
        """Whether its images have this height and width, in pixels."""
        return height == width and height in self.sizes

    @property
    def size_words(self) -> str:
        """Its sizes, in words."""
        return " or ".join(map(str, self.sizes))


# The papers' PDNs were distilled from Wide ResNet-101-2 for 60,000 steps; the public ones of EfficientAD were so too.
PAPER_SETUPS = {
    "hkt": PaperSetup(("efficientad_small",), iterations=50_000),
    "hkt_plus": PaperSetup(("efficientad_medium",), iterations=50_000),
    # The published code splits MVTec AD's training images 90 to 10.
    "mhkd": PaperSetup(("efficientad_medium",), iterations=80_000, schedule="step", held_out_share=0.1),
    "pfadseg": PaperSetup(
        ("resnet18",),
        iterations=7_000,
        batch=16,
        learning_rate=0.5,
        weight_decay=1e-4,
        optimizer="sgd",
        textures=True,
    ),
    "dskd": PaperSetup(
        ("wide_resnet50_2",),
        epochs=210,
        sizes=(256, 128),
        batch=16,
        learning_rate=5e-3,
        weight_decay=0.0,
        betas=(0.5, 0.999),
        textures=True,
    ),
    # Its abstract and captions say nothing of the training; the quantiles need images that were held out.
    "mthf": PaperSetup(
        ("resnet18", "mobilenet_v2", "efficientnet_b0"),
        epochs=100,
        batch=16,
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule="cosine",
        held_out_share=None,
    ),
}
# What pfadseg and dskd take their textures from.
DTD_URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
DTD_IMAGES, DTD_MEGABYTES = 5_640, 626
