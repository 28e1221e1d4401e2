"""Where fixed points of a tied network appear in pairs as a hyperparameter changes."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field.at_rest.moment_map import MomentMap, all_fixed_moments
from rmt_jacobian.solvers import bracketed_root

__all__ = ["SaddleNode", "saddle_node"]

_BISECTIONS = 12  # until two solutions are so close that there is one extreme between them


@dataclass(frozen=True)
class SaddleNode:
    """A pair of fixed points at its birth.

    Attributes
    ----------
    name, value
        The hyperparameter and its value there.
    moment
        The unknown second moment of the two solutions there.
    """

    name: str
    value: float
    moment: float


def saddle_node(
    cell: Cell, parameters: Parameters, name: str, low: float, high: float
) -> SaddleNode:
    r"""Find where two fixed points appear between two values of a hyperparameter.

    With G the map of the one unknown second moment m, two solutions meet where

    .. math:: G(m) = m, \qquad \frac{d}{dm} \frac{G(m)}{m} = 0.

    Parameters
    ----------
    cell, parameters
        The cell and its other hyperparameters.
    name
        The hyperparameter, e.g. ``"reset.weight_std"``.
    low, high
        Values between which the number of fixed points changes by two, once.

    Raises
    ------
    ParameterError
        If it does not.
    HypothesisError
        If several moments are unknown, as in an LSTM with peepholes.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> at = Parameters.of(gru, input_std=0).with_values({"candidate.weight_std": 1.9})
    >>> round(saddle_node(gru, at, "reset.weight_std", 4.0, 7.0).value, 6)
    5.381014
    """

    def moment_map(value: float) -> MomentMap:
        return MomentMap(cell, parameters.with_values({name: value}))

    if len(moment_map(low).unknown) != 1:
        raise HypothesisError(
            f"{cell.name} has {len(moment_map(low).unknown)} unknown moments, not one: compare "
            "fixed_points at neighbouring parameters instead"
        )
    few, many, pair = _narrowed(cell, parameters, name, low, high)
    sign = _between(moment_map(many), pair)

    def extreme(value: float) -> tuple[float, float]:
        """Return the extreme of log G(m) / m near the pair, positive where the pair exists."""
        of = moment_map(value)
        found = minimize_scalar(
            lambda s: -sign * _log_ratio(of, float(s)),
            bounds=_window(pair), method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        return float(found.x), -float(found.fun)

    value = bracketed_root(lambda at: extreme(at)[1], few, many).unwrap()
    return SaddleNode(name, value, math.exp(extreme(value)[0]))


def _log_ratio(of: MomentMap, log_moment: float) -> float:
    image = of.image(np.array([math.exp(log_moment)]))[0]
    return math.log(max(image, 1e-300)) - log_moment


def _window(pair: tuple[float, float]) -> tuple[float, float]:
    """Return the pair of logarithms with as much again on either side."""
    width = pair[1] - pair[0]
    return pair[0] - width, pair[1] + width


def _between(of: MomentMap, pair: tuple[float, float]) -> float:
    return math.copysign(1.0, _log_ratio(of, (pair[0] + pair[1]) / 2))


def _narrowed(
    cell: Cell, parameters: Parameters, name: str, low: float, high: float
) -> tuple[float, float, tuple[float, float]]:
    """Bisect the change of the number of solutions; return values without and with the pair."""

    def moments(value: float) -> list[float]:
        found = all_fixed_moments(cell, parameters.with_values({name: value}))
        return [float(each[0]) for each in found]

    ends = {low: moments(low), high: moments(high)}
    few, many = sorted(ends, key=lambda value: len(ends[value]))
    if len(ends[many]) - len(ends[few]) != 2:
        raise ParameterError(
            f"{name} = {low:g} and {high:g} have {len(ends[low])} and {len(ends[high])} fixed "
            "points: give values whose numbers differ by two"
        )
    richer = ends[many]
    for _ in range(_BISECTIONS):
        middle = (few + many) / 2
        found = moments(middle)
        if len(found) == len(richer):
            many, richer = middle, found
        else:
            few = middle
    logs = [math.log(moment) for moment in richer if moment > 0]
    gap = min(range(len(logs) - 1), key=lambda k: logs[k + 1] - logs[k])
    return few, many, (logs[gap], logs[gap + 1])
