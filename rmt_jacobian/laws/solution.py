"""What solving for a law at given points found."""

from dataclasses import dataclass

import numpy as np

__all__ = ["LawSolution"]


@dataclass(frozen=True, eq=False)
class LawSolution:
    """The density and the Cauchy transform of a law at real points, and how good they are.

    Attributes
    ----------
    x
        The points.
    cauchy
        The Cauchy transform, its limit from above on the support; nan where it was not found.
    density
        The density; nan where it was not found.
    residual
        The residual of the equations that were solved, relative to the size of their terms; 0
        for a closed form.
    converged
        Whether the value is certified.
    """

    x: np.ndarray
    cauchy: np.ndarray
    density: np.ndarray
    residual: np.ndarray
    converged: np.ndarray
