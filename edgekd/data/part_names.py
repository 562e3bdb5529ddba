"""What names of folders and files say of the parts in them: good ones, defective ones, or nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["good", "defective"]


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


GOOD_WORDS = _words_of(
    "good goods ok okay normal pass passed accept accepted conform conforming healthy undamaged nondefective "
    "defectfree faultfree flawless gut gutteil gutteile fehlerfrei bon bonne bons buono buoni bueno buenos conforme"
)
DEFECTIVE_WORDS = _words_of(
    "ng nok bad nogood notok notgood abnormal broken break breakage dent dents dented bent fray frayed misprint flaw "
    "flaws wrong rework scrap scrapped fail fails failed failure failures malfunction nonconforming nonconform nio "
    "rust rusted rusty scratch scratched scratches schlecht schlechtteil schlechtteile ausschuss nacharbeit kratzer "
    "riss risse bruch mauvais mauvaise malo malos rebut rechazo scarto scarti"
)
DEFECTIVE_BEGINNINGS = (
    "anomal",
    "anormal",
    "beschadig",
    "contaminat",
    "crack",
    "damag",
    "defaut",
    "defect",
    "defekt",
    "difett",
    "fault",
    "fehler",
    "reject",
)
# Words that are also names of things, such as an IO board: they count where the name holds nothing else.
# A positive or a negative may be either kind, so neither is taken for good.
WHOLE_GOOD, WHOLE_DEFECTIVE = frozenset({"io", "clean", "sound"}), frozenset({"ko", "positive", "negative"})
NEUTRAL = _words_of("image images img imgs picture pictures part parts sample samples teil teile bild bilder")
NEGATIONS = _words_of("not non no n nicht without ohne kein keine sans sin senza zero")
# Chinese, Japanese and Korean are written without spaces; those that hold another one come first.
UNSPACED: tuple[tuple[str, Kind], ...] = (
    *((word, "defective") for word in ("不良", "不合格", "异常", "異常", "缺陷", "欠陥", "불량", "비정상")),
    *((word, "good") for word in ("良品", "合格", "正常", "양품", "정상")),
)
ABBREVIATION = re.compile(r"(?<![a-z])(?:[a-z]\.)+[a-z]?(?![a-z])", re.IGNORECASE)  # i.O., n.i.O.
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Sign(NamedTuple):
    """A word in a name that says what kind of parts it is for."""

    kind: Kind
    word: str


def kind_of_name(name: str) -> Kind | None:
    """What a name says of its parts.

    Args:
        name: Of a folder, or of a file without its suffix; in any case, such as "OK", "lot_7 NG", "i.O." or "notGood".

    Returns:
        None where it says nothing; "defective" where it says both.
    """
    return _kind(signs_in(name))


def kinds_of_names(names: Iterable[str]) -> list[Kind | None]:
    """What each of several names says of its part. What all of them hold tells none from another and does not count.

    Args:
        names: Of files without their suffixes.
    """
    signs = [signs_in(name) for name in names]
    common = frozenset.intersection(*signs) if signs else frozenset()
    return [_kind(found - common) for found in signs]


def signs_in(name: str) -> frozenset[Sign]:
    """The words of a name that say what kind of parts it is for."""
    for word, kind in UNSPACED:
        if word in name:
            return frozenset({Sign(kind, word)})
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    plain = ABBREVIATION.sub(lambda found: found[0].replace(".", ""), plain.replace("ß", "ss"))
    return _signs(_words(plain)) | _signs(_words(CAMEL.sub(" ", plain)))


def _kind(signs: frozenset[Sign]) -> Kind | None:
    kinds = {sign.kind for sign in signs}
    return "defective" if "defective" in kinds else "good" if kinds else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _signs(words: list[str]) -> frozenset[Sign]:
    signs = set()
    for index, word in enumerate(words):
        kind = _kind_of_word(word)
        if kind is None:
            continue
        before, after = words[index - 1] if index else "", words[index + 1] if index + 1 < len(words) else ""
        if before in NEGATIONS:
            word, kind = f"{before} {word}", _opposite(kind)
        elif kind == "defective" and after in ("free", "less"):
            word, kind = f"{word} {after}", "good"
        signs.add(Sign(kind, word))
    telling = [word for word in words if word not in NEUTRAL]
    if telling[-1:] and telling[-1] in WHOLE_GOOD | WHOLE_DEFECTIVE:
        negations, word = telling[:-1], telling[-1]
        if len(negations) <= 1 and NEGATIONS.issuperset(negations):
            kind = "good" if word in WHOLE_GOOD else "defective"
            signs.add(Sign(_opposite(kind) if negations else kind, " ".join(telling)))
    return frozenset(signs)


def _kind_of_word(word: str) -> Kind | None:
    if word in GOOD_WORDS:
        return "good"
    return "defective" if word in DEFECTIVE_WORDS or word.startswith(DEFECTIVE_BEGINNINGS) else None


def _opposite(kind: Kind) -> Kind:
    return "good" if kind == "defective" else "defective"
