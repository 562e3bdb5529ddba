"""The stored self-test: the recipe's references through all that follows the camera."""

from __future__ import annotations

from edgekd.data.images import read_pixels
from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.inspector.judging import Judge, is_ok
from edgekd.station.inspector.loading import Model
from edgekd.station.parts import Inspected
from edgekd.station.ports import SelfTestReport
from edgekd.station.recipe_store import released_recipe
from edgekd.station.recipes import Reference


def run_self_test(model: Model) -> SelfTestReport:
    """Judges the references: the verdicts must be equal, the scores in their bands, and the files those released.

    Args:
        model: What is loaded.
    """
    references = model.recipe.self_tests.references
    if not references:
        return SelfTestReport(False, "the recipe holds no reference images: release one that does")
    try:
        _, digest = released_recipe(model.folder)
    except EdgekdError as error:
        return SelfTestReport(False, str(error), (str(error),))
    if digest != model.digest:
        return SelfTestReport(False, "another recipe was released: load it")
    differences = tuple(
        difference for reference in references if (difference := _difference(model, reference)) is not None
    )
    count = f"{len(references)} reference{'' if len(references) == 1 else 's'}"
    if differences:
        return SelfTestReport(False, f"{len(differences)} of {count} differ: {differences[0]}", differences)
    return SelfTestReport(True, f"{count} judged as expected")


def _difference(model: Model, reference: Reference) -> str | None:
    """What is not as expected of a reference, in one line; None where all is."""
    try:
        image = read_pixels(model.folder / reference.image)
    except EdgekdError as error:
        return str(error)
    depth = model.engine.engine.preprocessing.bit_depth or 16
    found = Judge(model, image, depth, Inspected(0)).judge().inspected
    if found.error is not ErrorCode.NONE:
        return f"{reference.image}: ERROR {int(found.error)}, expected {reference.verdict}: {found.error_text}"
    verdict = Verdict.OK if is_ok(found) else Verdict.NG
    if verdict.value != reference.verdict:
        return f"{reference.image}: {verdict.value} with score {found.score:.4g}, expected {reference.verdict}"
    if not reference.lowest <= found.score <= reference.highest:
        band = f"{reference.lowest:.4g} to {reference.highest:.4g}"
        return f"{reference.image}: {verdict.value} with score {found.score:.4g}, expected {band}"
    return None
