"""Types for the fields of files that anybody may have written, and one line that names the field that is wrong.

Models are made of these types; `checked` holds a file's content against a model. Nothing is converted: text is no
number and 1.0 no integer, so that what is checked is what is used.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from edgekd.errors import MOST_SHOWN, ArtifactError, EdgekdError, shown
from edgekd.json_files import kind_of

LONGEST_TEXT = 1 << 16
LONGEST_PATH = 4096
LONGEST_NAME = 255  # Bytes that a file system takes.
DIGEST = re.compile(r"[0-9a-f]{64}")
BIT_DEPTHS = range(9, 17)
Checked = TypeVar("Checked")

# What a message says where a value is not of its type, by pydantic's names of its errors.
EXPECTED = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "dataclass_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "finite_number": "must be a finite number",
    "float_type": "must be a finite number",
    "int_type": "must be an integer",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "missing": "is missing",
    "extra_forbidden": "is not known to this edgekd",
    "unexpected_keyword_argument": "is not known to this edgekd",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "path_type": "must be the path of a file or a folder",
    "string_type": "must be text",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
}
WITHOUT_VALUE = ("missing", "extra_forbidden", "unexpected_keyword_argument", "too_long", "too_short")


class Entry(BaseModel):
    """An object in a file. What it holds besides is not looked at: a later version may have added it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ClosedEntry(Entry):
    """An object in a file that people write: what is not known is a mistyped name, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _know_all(cls, content: object) -> object:
        for name in content if isinstance(content, dict) else ():
            if name not in cls.model_fields:
                nearest = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=0.6)
                hint = f"did you mean {nearest[0]}" if nearest else f"known are {', '.join(cls.model_fields)}"
                raise _UnknownFieldError(f"is not known: {hint}", shown(str(name)), None)
        return content


def text(value: object) -> str:
    """Checks text.

    Raises:
        ValueError: It is not text, or too long, or holds a NUL character.
    """
    if not isinstance(value, str):
        raise ValueError("must be text")
    if len(value) > LONGEST_TEXT or "\0" in value:
        raise ValueError(f"must be text of at most {LONGEST_TEXT} characters, none of them NUL")
    return value


def inner_path(value: object) -> str:
    """Checks the path of a file inside a folder that is known otherwise.

    Raises:
        ValueError: It is not a path, or leads outside the folder.
    """
    path = text(value)
    parts = PurePath(path)
    longest = max((len(os.fsencode(part)) for part in parts.parts), default=0)
    if not 0 < longest <= LONGEST_NAME or len(path) > LONGEST_PATH:
        raise ValueError("must be the path of a file")
    if parts.is_absolute() or parts.drive or parts.root or os.pardir in parts.parts:
        raise ValueError("must be a path inside its folder")
    return path


def file_name(value: object) -> str:
    """Checks the name of a file beside another one.

    Raises:
        ValueError: It is not a name, or names another folder.
    """
    name = text(value)
    if len(name) > LONGEST_PATH or name in ("", os.pardir) or PurePath(name).name != name:
        raise ValueError("must be the name of a file, without a folder")
    return name


def digest(value: object) -> str:
    """Checks a SHA-256.

    Raises:
        ValueError: It is not 64 hexadecimal digits.
    """
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise ValueError("must be a SHA-256, 64 hexadecimal digits in lower case")
    return value


def one_of(names: Iterable[str]) -> PlainValidator:
    """A validator for text that must be one of several names.

    Args:
        names: That it may be.
    """
    return PlainValidator(name_check(names))


def name_check(names: Iterable[str]) -> Callable[[object], str]:
    """The check of `one_of`.

    Args:
        names: That a value may be.
    """
    known = tuple(names)

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"must be one of {', '.join(name or repr(name) for name in known)}")
        return value

    return check


def list_of(check: Callable[[object], str], once: bool = False) -> PlainValidator:
    """A validator for a list that may be long: the first wrong entry ends it, where pydantic would collect them all.

    Args:
        check: Of an entry; raises ValueError where it is wrong.
        once: Whether no entry may come twice.
    """

    def check_all(values: object) -> tuple[str, ...]:
        if not isinstance(values, (list, tuple)):
            raise ValueError("must be a list")
        for index, value in enumerate(values):
            _checked_entry(check, value, index)
        if once and len(set(values)) != len(values):
            twice = next(value for value, count in Counter(values).items() if count > 1)
            raise ValueError(f"must name each file once, and names '{shown(twice)}' twice")
        return tuple(values)

    return PlainValidator(check_all)


def digests(check: Callable[[object], str]) -> PlainValidator:
    """A validator for an object that may be long: SHA-256 by name.

    Args:
        check: Of a name; raises ValueError where it is wrong.
    """

    def check_all(values: object) -> dict[str, str]:
        if not isinstance(values, dict):
            raise ValueError("must be an object")
        for name, value in values.items():
            _checked_entry(check, name, name)
            _checked_entry(digest, value, name)
        return dict(values)

    return PlainValidator(check_all)


class _EntryError(ValueError):
    """An entry of a list or an object that is wrong."""

    def __init__(self, message: str, place: int | str, value: object) -> None:
        super().__init__(message)
        self.place, self.value = place, value


class _UnknownFieldError(_EntryError):
    """A name that an object does not have."""


def _checked_entry(check: Callable[[object], str], value: object, place: int | str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise _EntryError(str(error), place, value) from None


def _ordered(pairs: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    shares, values = [share for share, _ in pairs], [value for _, value in pairs]
    if shares != sorted(set(shares)) or values != sorted(values):
        raise ValueError("must be pairs of a share and the value there, both rising")
    return pairs


def _setting(value: object) -> object:
    if isinstance(value, list):
        return [text(each) for each in value]
    if value is None or isinstance(value, dict):
        raise ValueError("must be text, a number, true, false or a list of text")
    return text(value) if isinstance(value, str) else value


Text = Annotated[str, PlainValidator(text)]
Setting = Annotated[Any, PlainValidator(_setting)]  # Of a system, whose own types are held against it later.
InnerPath = Annotated[str, PlainValidator(inner_path)]
FileName = Annotated[str, PlainValidator(file_name)]
Digest = Annotated[str, PlainValidator(digest)]
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
Integer = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
Positive = Annotated[int, Field(strict=True, ge=1, lt=2**31)]
Side = Annotated[int, Field(strict=True, ge=1, le=1 << 14)]  # Of what a network reads, in pixels.
BitDepth = Annotated[int, Field(strict=True, ge=BIT_DEPTHS[0], le=BIT_DEPTHS[-1])]
Range = tuple[Number, Number]
Quantiles = Annotated[tuple[tuple[Share, Number], ...], Field(min_length=1, max_length=1000), AfterValidator(_ordered)]
InnerPaths = Annotated[tuple[str, ...], list_of(inner_path, once=True)]


def with_tuples(content: Any) -> Any:
    """What a file or message holds, with lists as tuples, since what was read does not change.

    Args:
        content: As JSON and TOML have it.
    """
    if isinstance(content, dict):
        return {name: with_tuples(value) for name, value in content.items()}
    return tuple(map(with_tuples, content)) if isinstance(content, list) else content


def checked(model: TypeAdapter[Checked], content: object, source: Path | str, remedy: str) -> Checked:
    """Holds a file's content against a model.

    Args:
        model: What it must be.
        content: As `edgekd.json_files.read_json` gives it.
        source: The file, to be named.
        remedy: What to do where it is wrong, such as "export the run again".

    Returns:
        The content as the model has it.

    Raises:
        ArtifactError: A field is missing or wrong; it is named, with what was expected and what was found.
    """
    try:
        return model.validate_python(content)
    except ValidationError as error:
        raise ArtifactError(f"{source}: {_complaint(error)}; {remedy}") from None
    except EdgekdError as error:  # Of a model that checks itself, such as a view.
        raise ArtifactError(f"{source}: {error}; {remedy}") from error


def _complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in words."""
    first = error.errors(include_url=False)[0]
    kind, context, value, place = first["type"], first.get("ctx", {}), first["input"], first["loc"]
    own = context.get("error")
    if isinstance(own, _EntryError):
        place, value = (*place, own.place), own.value
    expected = str(own) if own is not None else EXPECTED.get(kind, "is not valid").format(**context)
    where = _field(place)
    if not where:  # Of fields together: the message names them.
        return expected if own is not None else f"it {expected}, and holds {kind_of(value)}"
    without_value = kind in WITHOUT_VALUE or isinstance(own, _UnknownFieldError)
    return f"{where} {expected}" + ("" if without_value else f", got {_value(value)}")


def _field(place: tuple[int | str, ...]) -> str:
    """The place of a value in a file: threshold.limits[2].value."""
    words = ""
    for step in place:
        if isinstance(step, int):
            words += f"[{step}]"
        elif step != "[key]":  # Where a name is wrong, which is the step before.
            words += f".{shown(step)}"
    return words.removeprefix(".")


def _value(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= MOST_SHOWN else f"{value[: MOST_SHOWN - 3]}...")
    return repr(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else kind_of(value)
