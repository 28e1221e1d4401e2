"""m_1 of a product whose steps share their W, by theory on the sites that were drawn."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.sampling.matrix_free.factors import StepFactors

__all__ = ["MOST_STEPS", "shared_mean_on_sites"]

MOST_STEPS = 200
"""Up to which m_1 with shared weights is found."""
_MOST_NUMBERS = 2**26  # that are kept for all pairs of states


def shared_mean_on_sites(steps: Sequence[StepFactors], width: int) -> float:
    r"""Return m_1; nan where it takes too many steps or too much memory.

    Parameters
    ----------
    steps
        The factors of every step, the first one first.
    width
        N.

    Notes
    -----
    Costs :math:`O(T^2 N)` in time and O(T N) in memory.  Assumes that the same bi-invariant W, free
    from the diagonals of all steps together, stands at T places; N -> infinity for W alone.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.sampling import run_network
    >>> silent = Parameters.of(gru, weight_std=0.4, input_std=0)  # h = 0: J = 1/2 + W / 4
    >>> run = run_network(gru, silent, weights="orthogonal", width=8, steps=2, tied=True,
    ...                   rng=np.random.default_rng(0))
    >>> found = shared_mean_on_sites([StepFactors.of(step) for step in run], 8)
    >>> round(found, 6)  # (1/4 + 1/100)^2, and twice 1/4 1/100 that fresh W lack
    0.0726
    """
    d, gates = steps[0].states, len(steps[0].weights)
    if len(steps) > MOST_STEPS or d * d * len(steps) * width > _MOST_NUMBERS:
        return math.nan

    def stacked(rows: str, first: int, last: int) -> dict[tuple[int, int], np.ndarray]:
        """Return the entries of some columns by row and column, shape (T, N) each."""
        found: dict[tuple[int, int], np.ndarray] = {}
        for i, row in enumerate(getattr(steps[0], rows)):
            for column in row:
                if first <= column < last:
                    values = [_scaled(step, getattr(step, rows)[i], column) for step in steps]
                    whole = [np.broadcast_to(each, (width,)) for each in values]
                    found[i, column - first] = np.stack(whole)
        return found

    paths = Paths(
        stacked("updates", 0, d), stacked("updates", d, d + gates),
        stacked("sources", 0, d), stacked("sources", d, d + gates),
        np.full(width, 1 / width), d, gates,
    )  # fmt: skip
    return float(tied_mean_squares(paths, [1.0] * gates)[-1])


def _scaled(step: StepFactors, row: Any, column: int) -> Any:
    """Return an entry times the length of the row of W that the component came from."""
    entry, square = row[column], step.row_squares.get(column, 1.0)
    entry, square = (to_numpy(x).astype(float) if np.ndim(x) else x for x in (entry, square))
    return entry * np.sqrt(square)
