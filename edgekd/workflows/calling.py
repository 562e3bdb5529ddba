"""How workflows are called: their options are a frozen dataclass, written as keywords by whoever calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Options = TypeVar("Options")
Result = TypeVar("Result")


def takes_options(options_class: Callable[P, Options]) -> Callable[[Callable[[Options], Result]], Callable[P, Result]]:
    """Lets a workflow be called with the fields of its options: `train("hkt", data="good", run="runs/part")`.

    Names, types and defaults of the options so stand in one place, the dataclass, which type checkers and `help` read.

    Args:
        options_class: The dataclass of the workflow's options.
    """

    def decorate(workflow: Callable[[Options], Result]) -> Callable[P, Result]:
        @functools.wraps(workflow)
        def call(*args: P.args, **kwargs: P.kwargs) -> Result:
            return workflow(options_class(*args, **kwargs))

        call.__signature__ = inspect.signature(options_class)  # type: ignore[attr-defined]
        return call

    return decorate
