import pytest

from edgekd.errors import MachineError
from edgekd.result import AnomalyResult, Verdict, error_result
from edgekd.runner.error_runs import end_after_errors
from edgekd.runner.pipeline import Answer

ANSWERS = [
    Answer(str(number), None, error_result("too dark") if letter == "E" else AnomalyResult(0.1, 0.2, Verdict.OK))
    for number, letter in enumerate("EEOEEENEEEE")
]


def test_errors_in_a_row_end_the_stream_behind_the_last_of_them():
    given = end_after_errors(iter(ANSWERS), 3)
    assert [next(given).name for _ in range(6)] == [str(number) for number in range(6)]
    with pytest.raises(MachineError, match=r"3 frames in a row are ERROR \(the last one is 5: too dark\): mend what"):
        next(given)


@pytest.mark.parametrize("most", [5, None])
def test_fewer_errors_in_a_row_do_not(most):
    assert list(end_after_errors(iter(ANSWERS), most)) == ANSWERS
