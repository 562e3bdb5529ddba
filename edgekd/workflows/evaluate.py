"""`edgekd evaluate`: a detector's accuracy on a labelled test set."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgekd.artifact import find_artifact, read_manifest
from edgekd.preprocessing import Size
from edgekd.progress import Progress, silent
from edgekd.workflows.calling import takes_options

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of `evaluate`.

    Attributes:
        engine: Artifact to evaluate, an .onnx or .engine file, or a run that was exported.
        data: Category to evaluate on, in one of the dataset layouts that edgekd reads.
        backend: Back end that computes; None for the faster one on the CPU, measured once.
        threads: CPU threads for one inference; None for all.
        device: NVIDIA GPU, such as "cuda:1"; None for the first.
        slots: Batches in flight at once; None for the engine's own number.
        html: File for a report with heat maps; None for none.
        progress: Called after each image.
    """

    engine: str | Path
    data: str | Path
    backend: str | None = None
    threads: int | None = None
    device: str | None = None
    slots: int | None = None
    html: str | Path | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class EvaluateResult:
    """What `evaluate` measured; metrics are 0..1, higher is better.

    Attributes:
        system, precision, sha256: Of the artifact.
        category: Name of the category.
        test_good, test_defective: Test images.
        image_auroc, image_ap: Good against defective images; of MVTec LOCO AD the AUROC is the mean over its two kinds
            of anomalies.
        pixel_auroc, pixel_ap, pro, pro_rd4ad, iap, iap_at_90: Good against defective pixels; None without masks.
        empty_masks: Defective images without a marked pixel, left out of the pixel metrics; None without masks.
        unseen_defects: Defective images whose defect lies where the view does not look, left out of the pixel metrics.
        unseen_pixels: Share of the pixels where it does not look, left out too; None without masks.
        f1, accuracy, sensitivity, specificity: At `f1_threshold`.
        f1_threshold, f1_threshold_origin: The threshold of the highest F1 on the test scores, and how it was chosen.
        at_threshold: The same four figures at the detector's own threshold, with `threshold` and `threshold_origin`;
            None where it has none.
        threshold: The detector's; None where it has none.
        limits: By the rate that was asked for: `value`, `expected` and `bound` of the detector's limits; `rejected` of
            the `good` test images and `missed` of the `ng` ones. None where it holds no limits.
        verdicts: Images by verdict at that threshold, `false_rejects` and `missed_defects`; None without a threshold.
        size: Height and width of the network's input, in pixels.
        iterations: That the detector was trained for; None where it is untrained.
        teachers: `name` and `sha256` of each.
        engine: `backend`, `version` and `device`.
        device: The machine.
        paper: What the system's paper reports of this category, and what differs from its set-up; None for nothing.
        by_kind: Further metrics of MVTec LOCO AD by their names, such as "image_auroc_logical" and "spro".
    """

    system: str
    precision: str
    sha256: str
    category: str
    test_good: int
    test_defective: int
    image_auroc: float
    image_ap: float
    pixel_auroc: float | None
    pixel_ap: float | None
    pro: float | None
    pro_rd4ad: float | None
    iap: float | None
    iap_at_90: float | None
    empty_masks: int | None
    unseen_defects: int | None
    unseen_pixels: float | None
    f1: float
    accuracy: float
    sensitivity: float
    specificity: float
    f1_threshold: float
    f1_threshold_origin: str
    at_threshold: dict[str, Any] | None
    threshold: float | None
    verdicts: dict[str, int] | None
    size: Size
    iterations: int | None
    teachers: list[dict[str, str]]
    engine: dict[str, str]
    device: dict[str, Any]
    paper: dict[str, Any] | None
    limits: list[dict[str, Any]] | None = None
    by_kind: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The content of `evaluate --json`."""
        content = asdict(self) | {"size": list(self.size)}
        content |= content.pop("by_kind")
        return content


def result_of(figures: dict[str, Any]) -> EvaluateResult:
    """The result with the figures of an evaluation; those that it has no field for are `by_kind`.

    Args:
        figures: Of `edgekd.workflows.evaluation.evaluate_engine`, or the content of `evaluate --json`.
    """
    names = {each.name for each in fields(EvaluateResult)}
    known = {name: value for name, value in figures.items() if name in names}
    return EvaluateResult(**known, by_kind={name: figures[name] for name in figures if name not in names})


@takes_options(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> EvaluateResult:
    """Measures a detector's accuracy on a labelled test set.

    Args: the fields of `EvaluateOptions`, as keywords.

    Returns:
        The metrics as attributes.

    Raises:
        EdgekdError: The artifact or the category cannot be read, or a test image is damaged.
        MachineError: The back end or scikit-learn is not installed.

    Example:
        `edgekd.evaluate("runs/part", data="category").image_auroc`
    """
    from edgekd.data.layouts import read_category
    from edgekd.engines import open_engine
    from edgekd.metrics.auroc import scikit_learn_metrics
    from edgekd.reports.page import require_report
    from edgekd.workflows.evaluation import evaluate_engine

    artifact = find_artifact(Path(options.engine))
    scikit_learn_metrics()  # Where it is missing, that is reported before the work.
    html = require_report(options.html, artifact)
    manifest, category = read_manifest(artifact), read_category(Path(options.data))
    with open_engine(artifact, options.backend, options.threads, options.device, options.slots) as engine:
        evaluation = evaluate_engine(engine, manifest, category, options.progress)
    if html is not None:
        from edgekd.reports.evaluation_html import write_evaluation_report

        write_evaluation_report(html, evaluation.report)
        logger.info("wrote %s", html)
    return result_of(evaluation.figures)
