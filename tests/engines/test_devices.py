import pytest

from edgekd.engines.devices import parse_device
from edgekd.errors import EdgekdError


@pytest.mark.parametrize(("text", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("cuda:12", 12)])
def test_a_gpu_is_named_by_its_number(text, index):
    assert parse_device(text) == index


@pytest.mark.parametrize(
    "text",
    ["", "cpu", "gpu", "cuda:", "cuda:-1", "cuda:1.0", "cuda:x", " cuda:1", "CUDA:1", "cuda:1\n", "cuda:\u0661", "1"],
)
def test_anything_else_is_refused_with_what_is_allowed(text):
    with pytest.raises(
        EdgekdError, match=r"^--device must be cuda, or cuda:N with the number of a GPU such as cuda:1, got"
    ):
        parse_device(text)
