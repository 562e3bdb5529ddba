"""Cards of teachers: where their weights come from, read from the files beside them and from a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter

from edgekd.artifact import read_json
from edgekd.json_files import read_object
from edgekd.manifest import TeacherEntry
from edgekd.run_folder import TEACHER_CARDS_FILE
from edgekd.typed import Digest, Entry, Flag, Text, checked, digest, text

MOST_CARD_BYTES, MOST_CARD_VALUES = 1 << 20, 10_000


def _made_from(value: object) -> object:
    """By the names of other weights their hashes; or words, where they are not known."""
    if not isinstance(value, dict):
        return text(value)
    return {text(name): digest(each) for name, each in value.items()}


class TeacherCard(Entry):
    """What a card holds that edgekd reads; what it holds besides goes into manifests as it is."""

    teacher: Text = ""
    network: Text = ""
    paper: Text = ""
    licence: Text = ""
    imported_from: Text = ""
    imported_sha256: Digest = ""
    hash_checked: Flag = False
    sha256: Digest = ""
    made_from: Annotated[Any, PlainValidator(_made_from)] = ""


_CARD = TypeAdapter(TeacherCard)
_CARDS = TypeAdapter(tuple[TeacherEntry, ...])


def read_card(path: Path) -> dict[str, Any]:
    """Reads the card beside a teacher's weights.

    Args:
        path: The .json file.

    Raises:
        ArtifactError: It is missing, not an object, or an entry of it is wrong.
    """
    content = read_object(path, MOST_CARD_BYTES, MOST_CARD_VALUES)
    checked(_CARD, content, path, "correct it, or import or distill the teacher again")
    return content


def read_teacher_cards(run: Path) -> list[dict[str, Any]]:
    """Reads the cards of the teachers of a run: by each one's `name`, its `sha256` and its `card`.

    Args:
        run: The folder of the run.

    Raises:
        ArtifactError: They are missing, or an entry is missing or wrong.
    """
    path = run / TEACHER_CARDS_FILE
    content = read_json(path, MOST_CARD_BYTES, MOST_CARD_VALUES)
    checked(_CARDS, content, path, "train again")
    return list(content)
