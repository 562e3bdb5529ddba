"""The process of the long work: `python -m edgekd.station.page.teaching.worker PROJECT DATA RECIPES FD`.

The page starts it and may end before it does. It holds the lock FD as long as it lives. SIGTERM ends it with everything
kept that was done: whoever starts it again goes on from there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from edgekd.errors import EdgekdError
from edgekd.station.page.teaching.comparing import compare
from edgekd.station.page.teaching.drafting import draft_recipe
from edgekd.station.page.teaching.limiting import set_threshold
from edgekd.station.page.teaching.making import make_detector
from edgekd.station.page.teaching.project_files import ProjectFiles
from edgekd.station.page.teaching.reporting import NotesLog, Report
from edgekd.station.page.teaching.trying import try_images
from edgekd.station.page.teaching.work_files import Order

NICENESS = 19  # Verdicts first.


def work(project: ProjectFiles, data: Path, recipes: Path) -> int:
    """Does what was ordered last, from where it was interrupted.

    Args:
        project: Whose work.
        data: Folder of the record.
        recipes: Folder of the recipes.

    Returns:
        The exit code: 0 done, 1 failed, 130 interrupted or stopped.
    """
    order = project.work.order()
    if order is None:
        return 1
    report = Report(project.work, order)
    handler = NotesLog(report)
    logging.getLogger("edgekd").addHandler(handler)
    logging.getLogger("edgekd").setLevel(logging.INFO)
    try:
        _do(project, data, recipes, order, report)
    except KeyboardInterrupt:
        if project.work.stop_asked:
            report.end("stopped")
        else:
            report.note("was asked to end")
            report.interrupted()
        return 130
    except EdgekdError as error:
        report.end("failed", str(error))
        return 1
    except Exception as error:
        logging.getLogger(__name__).exception("the work failed")
        report.end("failed", f"a fault of edgekd: {type(error).__name__}: {error}")
        return 1
    finally:
        logging.getLogger("edgekd").removeHandler(handler)
    report.end("done")
    return 0


def _do(project: ProjectFiles, data: Path, recipes: Path, order: Order, report: Report) -> None:
    training, options = project.training(order.number), order.options
    if order.kind == "train":
        make_detector(project, order, report)
    elif order.kind == "recipe":
        draft_recipe(project, recipes, order, report)
    elif order.kind == "compare":
        compare(project, data, recipes, order, report)
    else:
        if order.kind == "threshold":
            set_threshold(training, options["false_reject_rate"], report)
        with report.step("tries") as step:
            try_images(project, training, options["golden"], options["defect"], report, step)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # What is being saved for the first one is not to be interrupted.
    raise KeyboardInterrupt


def main(words: list[str]) -> int:
    """Runs the process.

    Args:
        words: Folder of the project, of the record and of the recipes, and the number of the file that is the lock.
    """
    folder, data, recipes = (Path(word) for word in words[:3])
    os.set_inheritable(int(words[3]), False)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return work(ProjectFiles(folder), data, recipes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
