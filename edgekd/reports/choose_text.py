"""What `choose` found, in words: what to take, how far it is from its teacher's ceiling, what to run next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.preprocessing import size_text

FAR = 0.03  # Below its teacher's ceiling, where longer training is worth its time.
LONGER = 4  # Times the training of the candidate that is taken.


def verdict(figures: Mapping[str, Any]) -> list[str]:
    """What to take, and what would be better still, a sentence each.

    Args:
        figures: The content of `choose --json`.
    """
    best = figures["rows"][0]
    if figures["take"] is None:
        fastest = min((row for row in figures["rows"] if row["latency_ms"]), key=lambda row: row["latency_ms"])
        return [
            f"no candidate is as fast as {figures['latency_limit_ms']:g} ms: the fastest is {title(fastest)} with "
            f"{fastest['latency_ms']:.1f} ms; allow more, or try a GPU (edgekd build)"
        ]
    shipped = figures["shipped"]
    scored = (
        f"image AUROC {shipped['image_auroc']:.3f} on {judged_on(figures)}, {shipped['latency_ms']:.1f} ms an image"
    )
    sentences = [f"take {shipped['artifact']}: {title(best)} in INT8, {scored}"]
    if best["ceiling"] is None:
        return sentences
    gap, at_least = best["ceiling"] - best["image_auroc"], "" if best["ceiling_stands_still"] else "at least "
    ceiling = f"the ceiling of its teacher, {' + '.join(best['teachers'])}, is {at_least}{best['ceiling']:.3f}"
    if gap > FAR:
        return [*sentences, f"{ceiling}, {gap:.3f} higher: training longer is worth it, {longer_training(figures)}"]
    learned = "it has reached that" if gap <= 0 else "it has learned most of that"
    return [*sentences, f"{ceiling}: {learned}; for more, try another teacher with --teacher"]


def title(row: Mapping[str, Any]) -> str:
    """A candidate's name for people."""
    view = row.get("view") or ""
    how = f" in {view} tiles" if "x" in view else f", {view}ed" if view else ""
    return f"{row['system']} at {size_text(row['size'])} pixels{how}"


def judged_on(figures: Mapping[str, Any]) -> str:
    """What candidates were judged on."""
    judge = figures["judge"]
    return f"{judge['good']} held-out good images and {judge['defective']} {judge['defects']} defects"


def next_command(figures: Mapping[str, Any]) -> str:
    """The command that inspects with the detector to take, to be pasted; it must have one."""
    words = ["edgekd", "inspect", "--source", figures["data"], "--engine", figures["shipped"]["artifact"]]
    return shlex.join(words)


def longer_training(figures: Mapping[str, Any]) -> str:
    """The command that trains the candidate to take for longer, to be pasted."""
    best = figures["rows"][0]
    teachers = [word for name in best["teachers"] for word in ("--teacher", name)]
    minutes = max(1, round(LONGER * best["minutes"]))
    size = size_text(best["size"])
    view = best.get("view") or ""
    name = "_".join(filter(None, [best["system"], size, view, "longer"]))
    options = ["--tiles", view] if "x" in view else ["--fit", view] if view else []
    run = str(Path(figures["out"]) / name)
    words = ["edgekd", "train", best["system"], "--data", figures["data"], "--run", run, "--size", size]
    return shlex.join(map(str, [*words, *options, *teachers, "--minutes", minutes]))
