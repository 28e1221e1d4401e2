"""Pairs of parameters of which the usual run takes some, and the thorough one all."""

from collections.abc import Iterable
from typing import Any

import pytest


def in_turn(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Return all pairs of two lists; those that only combine what others show are thorough.

    Every value of either list is in a pair that always runs: the second ones take turns.
    """
    rows, columns = list(first), list(second)
    every = min(len(rows), len(columns))
    return [
        pytest.param(one, other, marks=[] if (i - j) % every == 0 else [pytest.mark.thorough])
        for i, one in enumerate(rows)
        for j, other in enumerate(columns)
    ]
