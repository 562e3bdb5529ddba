import pytest

from edgekd.errors import few_of, shown, unknown_name


@pytest.mark.parametrize("name", ["a" * 5000, "hkt\nplus", "\x1b[31m"])
def test_a_name_that_nobody_would_read_is_one_short_line_in_a_message(name):
    text = str(unknown_name("system", name, ["hkt", "mthf"]))

    assert text.isprintable()
    assert len(text) < 200


def test_a_path_is_shown_as_long_as_it_may_be():
    assert shown("/data/" + "a" * 90, 500) == "/data/" + "a" * 90
    assert shown("b" * 600, 500) == "b" * 497 + "..."


def test_of_many_names_the_first_are_shown():
    assert few_of(["a", "b"]) == "2 (a, b)"
    assert few_of(["a", "b", "c", "d", "e"]) == "5 (a, b, c and 2 more)"
