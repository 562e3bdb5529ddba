"""How well `edgekd choose` ranks: its image AUROC of each candidate beside that on a test set with real defects.

    python benchmarks/choose_judge.py runs/choose --data CATEGORY [--json FILE]

The regret is what the run to take lacks to the best candidate, in image AUROC on the test set. Rank correlations
(Spearman) are over the candidates of a round, which were trained for the same time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgekd.artifact import read_json, write_json
from edgekd.data.layouts import read_category
from edgekd.progress import silent
from edgekd.quantization.drift import rank_correlation
from edgekd.run_folder import TRIAL_FILE
from edgekd.workflows.candidates import Trial, read_trial
from edgekd.workflows.choose_record import RECORD_FILE
from edgekd.workflows.halving import rank
from edgekd.workflows.judge import Judge, judge_run

FEWEST_TO_RANK = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    record, category = read_json(arguments.out / RECORD_FILE), read_category(arguments.data)
    found = {path.parent: read_trial(path.parent) for path in sorted(arguments.out.glob(f"round*/*/{TRIAL_FILE}"))}
    runs = {run: trial for run, trial in found.items() if trial.error is None}
    good = [image.path for image in category.test if not image.defective]
    test = Judge(good, [image.path for image in category.test if image.defective], "real")
    real = {run: judge_run(run, test, "cpu", silent) for run in runs}
    taken = rank(list(runs.values()), record["latency_ms"], record["asked"]["latency"])[0]
    taken_run = next(run for run, trial in runs.items() if trial == taken)
    content = {
        "category": category.name,
        "judged_on": "synthetic" if record["asked"]["ng"] is None else "real",
        "minutes": record["asked"]["minutes"],
        "taken": taken.candidate.name,
        "taken_real": real[taken_run],
        "best_real": max(real.values()),
        "regret": max(real.values()) - real[taken_run],
        "rank_correlation": correlations(runs, real),
        "rows": [row(trial, real[run], record["latency_ms"]) for run, trial in runs.items()],
    }
    print_table(content)
    if arguments.json is not None:
        write_json(arguments.json, content)


def correlations(runs: dict[Path, Trial], real: dict[Path, float]) -> dict[str, float | None]:
    """By the number of the round; None where too few candidates, or all alike, have no rank."""
    found: dict[str, float | None] = {}
    for number in sorted({trial.round for trial in runs.values()}):
        of_round = [run for run, trial in runs.items() if trial.round == number]
        judged, measured = [runs[run].image_auroc for run in of_round], [real[run] for run in of_round]
        found[str(number)] = rank_correlation(judged, measured) if len(of_round) >= FEWEST_TO_RANK else None
    return found


def row(trial: Trial, real: float, latency_ms: dict[str, float]) -> dict[str, object]:
    return {
        "candidate": trial.candidate.name,
        "round": trial.round,
        "minutes": trial.minutes,
        "judged": trial.image_auroc,
        "real": real,
        "latency_ms": latency_ms[trial.candidate.name],
    }


def print_table(content: dict[str, object]) -> None:
    console = Console()
    table = Table(title=f"{content['category']}, judged on {content['judged_on']} defects")
    for column in ("candidate", "round", "minutes", "judged", "real", "ms"):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    for each in content["rows"]:
        figures = (
            f"{each['minutes']:.2g}",
            f"{each['judged']:.3f}",
            f"{each['real']:.3f}",
            f"{each['latency_ms']:.1f}",
        )
        table.add_row(each["candidate"], str(each["round"]), *figures)
    console.print(table)
    for number, value in content["rank_correlation"].items():
        console.print(f"round {number}: rank correlation {'not defined' if value is None else f'{value:.2f}'}")
    console.print(
        f"taken: {content['taken']}, real image AUROC {content['taken_real']:.3f}; regret {content['regret']:.3f}"
    )


if __name__ == "__main__":
    main()
