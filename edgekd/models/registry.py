"""All systems, how each is built and trained, and the papers' figures that its counts are compared with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from edgekd.errors import EdgekdError, unknown_name
from edgekd.models.detector import Detector, TrainingDefaults
from edgekd.models.dskd import DSKD
from edgekd.models.hkt import HKT
from edgekd.models.mhkd import MHKD
from edgekd.models.mthf import GROUPS, MTHF
from edgekd.models.pfadseg import PFADSeg
from edgekd.models.sizes import require_legal
from edgekd.paper_setups import PAPER_SETUPS, PaperSetup
from edgekd.preprocessing import Size, parse_size
from edgekd.recipe import FROM_IMAGES, PAPER


class PaperRow(NamedTuple):
    """A row of a paper's table of model sizes, and the network that it describes.

    Attributes:
        table: Number of the table.
        row: Name of the row.
        parameters_m, gflops: As printed; None where the paper prints none.
        settings: The system's arguments that make this network.
        parts: Parts of the detector that the row counts.
    """

    table: str
    row: str
    parameters_m: float | None
    gflops: float | None
    settings: Mapping[str, Any]
    parts: tuple[str, ...] = ("student",)


class FlopsConvention(NamedTuple):
    """How a paper counts GFLOPs.

    Attributes:
        text: Description.
        per_mac: FLOPs counted per multiply-accumulate.
        pools: Whether the additions of pools are counted, as by the thop package; thop's figures are truncated.
    """

    text: str
    per_mac: int
    pools: bool


# One noisy place of a good image does not decide the mean of a hundredth of its map; and the place that a network is
# least sure of in every image does not decide any.
TIMED_SETTINGS: Mapping[str, Any] = MappingProxyType({"score": "top_percent", "standardise": True})
# A defect at the edge of an image counts as one in its middle.
WHOLE_IMAGE: Mapping[str, Any] = MappingProxyType({**TIMED_SETTINGS, "border": False})


class System(NamedTuple):
    """One of the papers' systems.

    Attributes:
        name: On the command line and in manifests.
        title: In tables.
        build: Makes the detector of the paper, untrained; its keyword arguments are the recipe's settings.
        teachers: The default teachers.
        teacher_setting: Its argument that names them: "teacher", "backbone" or "groups".
        setup: How the paper trains it.
        timed: How it is trained within a time.
        timed_settings: Its arguments where they differ from the paper's then.
        paper: Where it was published.
        convention: How the paper counts GFLOPs.
        rows: The rows of the paper's tables of model sizes.
        follows_size: Whether the network itself depends on the image size.
    """

    name: str
    title: str
    build: Callable[..., Detector]
    teachers: tuple[str, ...]
    teacher_setting: str
    setup: PaperSetup
    timed: TrainingDefaults
    paper: str
    convention: FlopsConvention
    rows: tuple[PaperRow, ...] = ()
    follows_size: bool = True
    timed_settings: Mapping[str, Any] = TIMED_SETTINGS

    def detector(self, size: int | Size, settings: Mapping[str, Any] | None = None) -> Detector:
        """The untrained detector.

        Args:
            size: Height and width of the images, in pixels, or the side of squares.
            settings: Arguments where they are not the paper's.

        Raises:
            EdgekdError: The system has no setting of a name, or does not take its value.
        """
        self._check_settings(settings or {})
        sized = {"size": size} if self.follows_size else {}
        return self.build(**sized, **(settings or {}))

    def _check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuses what a recipe that was changed may hold, before a network of it is built."""
        parameters = inspect.signature(self.build, eval_str=True).parameters
        for name, value in settings.items():
            if name not in {*self.settings(), self.teacher_setting}:
                raise unknown_name(f"setting of {self.name}", name, self.settings())
            try:
                TypeAdapter(parameters[name].annotation).validate_python(value, strict=True)
            except ValidationError as error:
                expected = error.errors()[0]["msg"].removeprefix("Input ")
                raise EdgekdError(f"the setting {name} of {self.name} {expected}, got {value!r:.60}") from None

    @property
    def training(self) -> TrainingDefaults:
        """How the paper trains it."""
        setup = self.setup
        return TrainingDefaults(
            iterations=setup.iterations,
            epochs=setup.epochs,
            batch=setup.batch,
            learning_rate=setup.learning_rate,
            weight_decay=setup.weight_decay,
            schedule=setup.schedule,
            optimizer=setup.optimizer,
            betas=setup.betas,
            sizes=tuple(sorted(setup.sizes)),
        )

    def defaults(self, preset: str) -> TrainingDefaults:
        """How it is trained by a preset: "timed" or "paper"."""
        return self.training if preset == PAPER else self.timed

    def settings(self) -> dict[str, Any]:
        """The arguments that a run may change, besides teachers and size, with the paper's values."""
        chosen_elsewhere = {"size", "student", self.teacher_setting}
        parameters = inspect.signature(self.build).parameters
        return {name: entry.default for name, entry in parameters.items() if name not in chosen_elsewhere}

    def setting_choices(self) -> dict[str, tuple[str, ...]]:
        """The values of those settings that take a word, by name."""
        parameters = inspect.signature(self.build, eval_str=True).parameters
        hints = {name: entry.annotation for name, entry in parameters.items()}
        return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}

    @property
    def several_teachers(self) -> bool:
        """Whether several teachers teach it at once."""
        return self.teacher_setting == "groups"


# Better than the PDN teachers that ship, on every set it was measured on, at a fraction of their cost: see benchmarks.
LIGHT_TEACHER = "efficientnet_lite1"
THOP = FlopsConvention(
    "MACs as thop counts them, student alone with CBAM and projectors, truncated to two decimals", per_mac=1, pools=True
)
TWO_A_MAC = FlopsConvention("2 x MACs of teacher and student", per_mac=2, pools=False)
NOT_KNOWN = FlopsConvention("not known", per_mac=1, pools=False)
BARE = {"cbam": False, "projectors": False}
# How the systems are trained within a time (docs/benchmarks/training.md). Below so many iterations 256 pixels are not
# tried: with 170, MTHF was far behind what 128 pixels gave in fewer seconds.
ENOUGH = 900
TIMED = TrainingDefaults(
    batch=8, schedule="cosine", optimizer="adamw", warm_up=0.05, sizes=(128, 256), enough_iterations=ENOUGH
)
# A cosine would leave these students half trained, and one that has learned more sees how parts are framed.
TIMED_PDN = TIMED._replace(batch=4, learning_rate=1e-3, schedule="step", augment=("shift",))
FAST_PDN = TIMED_PDN._replace(learning_rate=3e-3)

SYSTEMS = {
    system.name: system
    for system in (
        System(
            name="hkt",
            title="HKT",
            build=partial(HKT, student="pdn_small"),
            teachers=(LIGHT_TEACHER,),
            teacher_setting="teacher",
            setup=PAPER_SETUPS["hkt"],
            timed=FAST_PDN._replace(initialisation=FROM_IMAGES),
            paper="HKT, J. Imaging 2025",
            convention=THOP,
            rows=(PaperRow("4", "HKT", 2.85, 20.31, {}), PaperRow("5", "HKT without CBAM, LP", 2.69, 15.31, BARE)),
            follows_size=False,
            timed_settings=WHOLE_IMAGE,
        ),
        System(
            name="hkt_plus",
            title="HKT+",
            build=partial(HKT, student="pdn_medium"),
            teachers=(LIGHT_TEACHER,),
            teacher_setting="teacher",
            setup=PAPER_SETUPS["hkt_plus"],
            timed=FAST_PDN,
            paper="HKT, J. Imaging 2025",
            convention=THOP,
            rows=(
                PaperRow("4, 6", "HKT+", 8.52, 63.21, {}),
                PaperRow("5, 6", "HKT+ without CBAM, LP", 8.02, 52.03, BARE),
                PaperRow("6", "HKT+ with CBAM alone", 8.08, 52.07, {"projectors": False}),
                PaperRow("6", "HKT+ with LP alone", 8.47, 63.18, {"cbam": False}),
            ),
            follows_size=False,
            timed_settings=WHOLE_IMAGE,
        ),
        System(
            name="mhkd",
            title="MHKD",
            build=MHKD,
            teachers=(LIGHT_TEACHER,),
            teacher_setting="teacher",
            setup=PAPER_SETUPS["mhkd"],
            timed=TIMED_PDN,  # Its dropout meets scaled weights badly.
            paper="MHKD",
            convention=TWO_A_MAC,
            rows=(
                PaperRow("5", "MHKD", 35, 234, {}, ("teacher", "student")),
                PaperRow("none", "MHKD as released", None, None, {"middle_width": 512}, ("teacher", "student")),
            ),
        ),
        System(
            name="pfadseg",
            title="PFADSeg",
            build=PFADSeg,
            teachers=("resnet18",),
            teacher_setting="backbone",
            setup=PAPER_SETUPS["pfadseg"],
            timed=TIMED._replace(learning_rate=0.5, weight_decay=1e-4, optimizer="sgd"),
            paper="PFADSeg",
            convention=NOT_KNOWN,
            follows_size=False,
            timed_settings={},  # Its own score is the mean of the highest pixels.
        ),
        System(
            name="dskd",
            title="DSKD",
            build=DSKD,
            teachers=("wide_resnet50_2",),
            teacher_setting="backbone",
            setup=PAPER_SETUPS["dskd"],
            timed=TIMED._replace(learning_rate=5e-3),
            # Weights that are learned from synthetic anomalies find real ones less well.
            timed_settings={**TIMED_SETTINGS, "fusion": "area"},
            paper="DSKD, Complex & Intelligent Systems",
            convention=NOT_KNOWN,
            rows=(
                PaperRow("text", "teacher, its classifier counted", 68.8, None, {}, ("teacher",)),
                PaperRow("text", "forward student, all its layers counted", 68.8, None, {}, ("forward student",)),
                PaperRow("text", "reverse student", 108, None, {}, ("reverse student",)),
            ),
        ),
        System(
            name="mthf",
            title="MTHF",
            build=MTHF,
            teachers=GROUPS,
            teacher_setting="groups",
            setup=PAPER_SETUPS["mthf"],
            timed=TIMED._replace(learning_rate=1e-3),
            timed_settings={**TIMED_SETTINGS, "scale_fusion": "area"},
            paper="MTHF",
            convention=NOT_KNOWN,
        ),
    )
}


def require_legal_size(system: str, detector: Detector, size: int | Size) -> None:
    """Checks that a detector takes images of a size.

    Args:
        system: Name of the system, for the message.
        detector: Of that system.
        size: Height and width of the images, in pixels, or the side of squares.

    Raises:
        EdgekdError: It does not; the message names the nearest legal sizes.
    """
    require_legal(f"{system} does not take images", parse_size(size), detector.legal_sizes_near)


def find_system(name: str) -> System:
    """The system with a name.

    Raises:
        EdgekdError: There is none; the message names the nearest.
    """
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]
