"""Names of any bytes as text, and as names of files that every system can make."""

import os

import pytest

from edgekd.verdicts.text import exact_bytes, from_exact_bytes, printable, safe_file_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("part 1.png", "part 1.png"),
        ("b_\udce4.png", "b_\\xe4.png"),
        ("a\r\n\x1b[2J", "a\\x0d\\x0a\\x1b[2J"),
        ("\u200fa", "\\u200fa"),
        ("\U000e0001", "\\U000e0001"),
        ("Prüfling_部品.png", "Prüfling_部品.png"),
    ],
)
def test_what_is_printed_is_one_line_of_utf8(text, shown):
    assert printable(text) == shown
    shown.encode()


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
@pytest.mark.parametrize("name", [b"b_\xe4.png", "部品.png".encode(), b"\xed\xa0\x80", b"a\n"])
def test_the_bytes_of_a_name_come_back(name):
    assert exact_bytes(os.fsdecode(name)) == name
    assert from_exact_bytes(name) == os.fsdecode(name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("shift/part.png", "shift/part.png"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("/etc/./passwd", "etc/passwd"),
        ("a:b*c?.png", "a%3Ab%2Ac%3F.png"),
        ("b_\udce4\n.png", "b_%E4%0A.png"),
        ("100%.png", "100%25.png"),
        ("CON/nul.png/com3", "_CON/_nul.png/_com3"),
        ("dots. . /x", "dots/x"),
        (" ", "_"),
        ("", "frame"),
        ("line.mp4#000012", "line.mp4#000012"),
    ],
)
def test_a_name_becomes_one_that_every_system_can_make(name, safe):
    assert safe_file_name(name) == safe


@pytest.mark.parametrize("letter", ["a", "部"])
def test_a_name_that_is_too_long_is_cut_between_letters(tmp_path, letter):
    safe = safe_file_name(letter * 244)
    assert 170 < len(safe.encode()) <= 180
    (tmp_path / f".{safe}.000001.heat.4194304.part.jpg").write_bytes(b"")
