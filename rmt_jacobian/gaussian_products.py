"""Averages over several independent Gaussian variables on a product of one rule for each.

Along a variable in which the function is smooth the nodes are graded (:mod:`rmt_jacobian.gaussian`)
and checked against half of them; along one in which it has kinks or jumps they lie in panels that
end there (:mod:`rmt_jacobian.gaussian_panels`).  Variables that are not resolved get more nodes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np

from rmt_jacobian.gaussian import normal_rule
from rmt_jacobian.gaussian_panels import (
    REACH,
    WIDTH,
    Average,
    Bends,
    PanelRule,
    normal_density,
    panel_ends,
)

__all__ = ["MOST_NODES", "Axis", "product_average"]

_AIM = 1e-10  # error of an axis, in units of the average of the absolute value
_ROUNDS = 3  # of twice as many nodes along the axes that need them
MOST_NODES = 40_000_000


@dataclass(frozen=True)
class Axis:
    """One variable, and the rule along it.

    Attributes
    ----------
    mean, variance
        Of the variable.
    bends
        Where the function bends along it, if it has kinks or jumps there.
    fineness
        By how much the nodes are closer together than it usually takes.
    """

    mean: float
    variance: float
    bends: Bends | None = None
    fineness: int = 1

    @cached_property
    def _panels(self) -> PanelRule | None:
        """In standard deviations from the mean."""
        if self.bends is None or not self.variance:
            return None
        places = self.bends.seen_from(np.array([self.mean]), math.sqrt(self.variance))
        edges = np.unique(panel_ends(places, REACH, WIDTH / self.fineness))
        return PanelRule.on(edges[:-1], edges[1:])

    @cached_property
    def rule(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights."""
        if self._panels is None:
            graded = normal_rule(self.mean, self.variance, fineness=self.fineness)
            return graded.nodes, graded.weights
        z = self._panels.nodes
        weights = self._panels.weights * normal_density(z)
        return (self.mean + math.sqrt(self.variance) * z).ravel(), weights.ravel()

    def error(self, values: np.ndarray, size: float) -> float:
        """Return the error of the average of values at the nodes, beside that of the absolute ones.

        On graded nodes, whose error falls exponentially with their number, it is about the square
        of what half of them miss.
        """
        _, weights = self.rule
        if self._panels is None:
            halved = float(np.sum(weights[::2] * values[::2]) / np.sum(weights[::2]))
            return (halved - float(weights @ values)) ** 2 / size if size else 0.0
        z = self._panels.nodes
        return float(self._panels.errors(values.reshape(z.shape) * normal_density(z)).sum())


def product_average(
    function: Callable[..., np.ndarray], axes: Sequence[Axis], *, most_nodes: int = MOST_NODES
) -> Average | None:
    """Return the average of a function of all variables; None where it takes too many nodes.

    Parameters
    ----------
    function
        Of arrays that broadcast, one for each axis.
    axes
        The variables, which are independent.
    most_nodes
        Of all axes together.

    Examples
    --------
    >>> kink = Bends.at([(0.0, np.inf)])
    >>> axes = (Axis(0.0, 1.0, kink), Axis(0.0, 4.0))
    >>> found = product_average(lambda x, y: np.maximum(x, 0) ** 2 * (1 + y * y), axes)
    >>> round(found.value, 12), found.error < 1e-10
    (2.5, True)
    """
    found = None
    for _ in range(_ROUNDS):
        shape = tuple(axis.rule[0].size for axis in axes)
        if math.prod(shape) > most_nodes:
            return found
        nodes = np.meshgrid(*(axis.rule[0] for axis in axes), indexing="ij", sparse=True)
        with np.errstate(all="ignore"):  # what is not finite has no error that is small enough
            values = np.broadcast_to(function(*nodes), shape)
            weights = [axis.rule[1] for axis in axes]
            size = float(reduce(np.matmul, reversed(weights), np.abs(values)))
            marginals = _marginals(values, weights)
            value = float(marginals[0] @ weights[0])
            errors = [axis.error(each, size) for axis, each in zip(axes, marginals, strict=True)]
        found = Average(value, math.fsum(errors), size)
        fine = [error <= _AIM * size for error in errors]
        if all(fine) or not np.all(np.isfinite(errors)):
            break
        axes = [
            axis if good else replace(axis, fineness=2 * axis.fineness)
            for axis, good in zip(axes, fine, strict=True)
        ]
    return found


def _marginals(values: np.ndarray, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return averages over all variables but one, for each; the whole array is read twice."""
    found = []
    for k in reversed(range(len(weights))):
        left = values  # over the variables up to this one
        for own in weights[:k]:
            left = (own @ left.reshape(len(own), -1)).reshape(left.shape[1:])
        found.append(left)
        values = values @ weights[k]
    return found[::-1]
