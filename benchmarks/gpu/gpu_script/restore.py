"""Makes a run folder of a student that was carried off, for edgekd export, evaluate and the rest.

python -m gpu_script.restore OUT SYSTEM RUN       # PYTHONPATH as in run.sh; on a machine with the carried folder
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edgekd.artifact import read_json
from edgekd.errors import EdgekdError
from edgekd.recipe import TrainingRecipe
from edgekd.run_folder import STUDENT_FILE
from edgekd.training.run import start_run
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.weight_files import write_weights
from gpu_script.carried import CATEGORY, TEACHERS, TEXTURES, require_carried
from gpu_script.networks import teacher_names
from gpu_script.settings import SYSTEM_NAMES
from gpu_script.weights import read_parts


def restore(out: Path, system: str, run: Path) -> None:
    """Makes the run folder.

    Args:
        out: With training.json and the student's files.
        system: Its name.
        run: The folder to make.

    Raises:
        EdgekdError: The student is not there, or its teachers are not those that are carried here.
    """
    require_carried()
    os.environ["EDGEKD_TEACHERS"] = str(TEACHERS)
    content = read_json(out / "training.json").get("systems", {}).get(system, {})
    if not content.get("student_files"):
        reason = content.get("student_kept") or content.get("reason") or "it was not trained"
        raise EdgekdError(f"{out} holds no student of {system}: {reason}")
    recipe = TrainingRecipe(
        **content["recipe"]
        | {"held_out": (), "data": str(CATEGORY), "textures": str(TEXTURES) if content["recipe"]["textures"] else ""}
    )
    teachers = [load_teacher(name) for name in teacher_names(system)]
    if {teacher.name: teacher.sha256 for teacher in teachers} != recipe.teachers:
        raise EdgekdError(f"{system} learned from other teachers than those in {TEACHERS}: prepare the same again")
    start_run(run, recipe, teachers)
    write_weights(run / STUDENT_FILE, read_parts(out, content["student_files"]), {"system": system})


def main() -> int:
    parser = argparse.ArgumentParser(prog="gpu_script.restore", description=__doc__.partition("\n")[0])
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("system", metavar="SYSTEM", choices=SYSTEM_NAMES)
    parser.add_argument("run", metavar="RUN", type=Path)
    arguments = parser.parse_args()
    try:
        restore(arguments.out, arguments.system, arguments.run)
    except EdgekdError as error:
        print(f"restore: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{arguments.run}: next: edgekd export {arguments.run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
