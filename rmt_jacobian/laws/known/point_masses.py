"""Laws with finitely many given atoms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.known.atomic import AtomicLaw

__all__ = ["PointMasses"]


@dataclass(frozen=True)
class PointMasses(AtomicLaw):
    r"""Finitely many atoms.

    .. math:: \mu = \sum_k p_k \, \delta_{x_k}, \qquad p_k > 0, \quad \sum_k p_k = 1

    The atoms are stored in increasing order.  The R- and the S-transform are computed near zero
    only.

    Parameters
    ----------
    locations
        The points :math:`x_k`, finite and distinct.
    weights
        The masses :math:`p_k`, positive, with sum 1 to rounding.

    Raises
    ------
    ParameterError
        If the two do not describe a probability law.

    Examples
    --------
    >>> law = PointMasses((3, -1), (0.25, 0.75))
    >>> law.atoms()
    ((-1.0, 0.75), (3.0, 0.25))
    >>> law.mean(), law.var()
    (0.0, 3.0)
    """

    locations: Sequence[float]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        _check(self.locations, self.weights)
        pairs = sorted(zip(self.locations, self.weights, strict=True))
        locations, weights = (tuple(map(float, column)) for column in zip(*pairs, strict=True))
        object.__setattr__(self, "locations", locations)
        object.__setattr__(self, "weights", weights)
        sums = [math.fsum(weights[: k + 1]) for k in range(len(weights) - 1)]
        self._store(np.array(locations), np.array(weights), np.array([*sums, 1.0]))

    @classmethod
    def bernoulli(cls, weight: float) -> "PointMasses":
        """Return the law of a projection: the given mass at 1, the rest at 0.

        Parameters
        ----------
        weight
            The trace of the projection, in [0, 1].

        Raises
        ------
        ParameterError
            If the weight lies outside [0, 1].

        Examples
        --------
        >>> PointMasses.bernoulli(0.25).atoms()
        ((0.0, 0.75), (1.0, 0.25))
        """
        if not 0 <= weight <= 1:
            raise ParameterError(f"the weight of a projection lies in [0, 1], not {weight}")
        masses = {0.0: 1 - weight, 1.0: weight}
        kept = {at: mass for at, mass in masses.items() if mass > 0}
        return cls(tuple(kept), tuple(kept.values()))


def _check(locations: Sequence[float], weights: Sequence[float]) -> None:
    if len(locations) != len(weights) or len(locations) == 0:
        raise ParameterError(
            f"point masses need as many weights as locations, at least one, not {len(weights)} "
            f"and {len(locations)}"
        )
    if not all(math.isfinite(x) for x in locations) or len(set(locations)) < len(locations):
        raise ParameterError("the locations of point masses must be finite and distinct")
    if not all(p > 0 for p in weights) or not math.isclose(math.fsum(weights), 1, abs_tol=1e-12):
        raise ParameterError("the weights of point masses must be positive, with sum 1")
