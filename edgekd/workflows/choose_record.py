"""What a run of `choose` has found so far, kept in its folder so that it can go on."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgekd.artifact import read_json, write_json
from edgekd.errors import ArtifactError, EdgekdError, shown
from edgekd.preprocessing import parse_size
from edgekd.workflows.candidates import Candidate
from edgekd.workflows.halving import Round
from edgekd.workflows.shipping import Shipped

RECORD_FILE = "choose.json"


@dataclass
class ChooseRecord:
    """What was asked for, and what is found.

    Attributes:
        asked: The options that decide what is tried and how it is judged.
        images: A digest of the good images: some of them judge, and no training may see those.
        rounds: Candidates and minutes of each round that was begun.
        latency_ms: By the candidate's name, in INT8.
        macs: By the candidate's name, for one image.
        shipped: By the run's folder: artifact, image AUROC and latency of what was exported as it ships.
        ceilings: By "TEACHER SIZE", such as "pdn_small 128": image AUROC of nearest neighbours, and whether more
            patches would hardly change it.
        seconds: Of the sessions before this one.
        started: When this session began, as time.monotonic.
    """

    asked: dict[str, Any]
    images: str
    rounds: list[Round] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=dict)
    macs: dict[str, int] = field(default_factory=dict)
    shipped: dict[str, Shipped] = field(default_factory=dict)
    ceilings: dict[str, tuple[float, bool]] = field(default_factory=dict)
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds of all sessions."""
        return self.seconds + time.monotonic() - self.started

    def save(self, out: Path) -> None:
        """Writes it into the folder."""
        content = asdict(self) | {"seconds": self.spent}
        del content["started"]
        content["rounds"] = [{"candidates": each.candidates, "minutes": each.minutes} for each in self.rounds]
        write_json(out / RECORD_FILE, content)


def open_record(out: Path, asked: dict[str, Any], images: str) -> ChooseRecord:
    """The record in a folder, or a new one.

    Args:
        out: The folder.
        asked: The options that decide what is tried and how it is judged; values as in JSON.
        images: A digest of the good images.

    Raises:
        EdgekdError: The folder holds a record of other options, or of other images.
        ArtifactError: Its record is damaged.
    """
    if not (out / RECORD_FILE).exists():
        return ChooseRecord(asked, images)
    content = read_json(out / RECORD_FILE)
    try:
        rounds = [
            Round(
                [
                    Candidate(system, parse_size(size), tuple(teachers), *view)
                    for system, size, teachers, *view in each["candidates"]
                ],
                each["minutes"],
            )
            for each in content["rounds"]
        ]
        ceilings = {name: (auroc, still) for name, (auroc, still) in content["ceilings"].items()}
        record = ChooseRecord(
            dict(content["asked"].items()),
            content["images"],
            rounds,
            dict(content["latency_ms"].items()),
            dict(content["macs"].items()),
            {run: Shipped(*found) for run, found in content["shipped"].items()},
            ceilings,
            content["seconds"],
        )
    except (AttributeError, KeyError, TypeError, ValueError, EdgekdError) as error:
        raise ArtifactError(
            f"{out / RECORD_FILE} is not a record that this version reads: use another folder"
        ) from error
    for name, value in asked.items():
        if record.asked.get(name) != value:
            before, now = (_written(name, each) for each in (record.asked.get(name), value))
            raise EdgekdError(f"{out} was begun {before}, not {now}: use the same options, or another folder")
    if record.images != images:
        raise EdgekdError(f"the good images have changed since {out} was begun: use another folder")
    return record


def _written(name: str, value: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    return f"without {option}" if value is None else f"with {option} {shown(str(value))}"
