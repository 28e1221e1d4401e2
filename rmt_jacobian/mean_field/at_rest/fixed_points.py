r"""Fixed points of tied networks under constant inputs: their site laws and their stability.

At a fixed point all preactivations are constant in time.  At large N they are independent Gaussian
variables across sites and among each other, whose variances are self-consistent,

.. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad s = f(s, e, x) \text{ at each site}.
"""  # noqa: E501

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy as sp

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.at_rest.frozen import FrozenVariables
from rmt_jacobian.mean_field.at_rest.moment_map import MomentMap, all_fixed_moments
from rmt_jacobian.mean_field.at_rest.site_at_rest import BEYOND_ONE, StationarySite, stationary_site
from rmt_jacobian.mean_field.sites.paths import low_discrepancy_normals
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.solvers import bracketed_root

__all__ = ["FixedPoint", "fixed_points"]

_SATURATED = 1e3  # a preactivation at which gates have reached their limits
_GRIDS = ((801, 1), (81, 2), (25, 3), (11, 4), (3, 8))  # values of each of so many variables
_BOUNDED = 1e-6  # relative: what grows by less at twice the distance has a limit
_REFINED, _SHRINKS = 80, 0.7  # turns of a search, and the share of its width that is kept
_CLOSE = 1e-7  # relative error of a thinned edge
_CLOSEST = 1e-140  # to the memory; nearer edges are not told apart from it


@dataclass(frozen=True)
class FixedPoint:
    r"""One self-consistent fixed point of a tied network.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    moments
        :math:`E[y_k^2]` of the source of each preactivation; 0 where there is none.
    variances
        :math:`q_k` of each preactivation across sites.
    residual
        The largest relative change of a moment when the equations are applied once more.
    error
        The largest relative change of a moment when every other node of the quadrature is left
        out; the quadrature's own error is far smaller.

    Notes
    -----
    Biases and inputs are constant in time, whatever ``bias_kind`` says of untied networks.
    """

    cell: Cell
    parameters: Parameters
    moments: tuple[float, ...]
    variances: tuple[float, ...]
    residual: float
    error: float

    @property
    def site(self) -> StationarySite:
        """States and Jacobian of a site at rest, as expressions."""
        return stationary_site(self.cell)

    @property
    def vanishes(self) -> bool:
        """Whether all sources are zero: the zero fixed point."""
        return not any(self.moments)

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the cell's symbols over the sites.

        Raises
        ------
        HypothesisError
            If it entangles more variables than can be integrated over; use :meth:`sites`.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru
        >>> _, point = fixed_points(gru, Parameters.of(gru, input_std=0))
        >>> round(point.average(gru.states[0] ** 2), 10)
        0.3798908588
        """
        return self._frozen(None).average(self.site.at_rest(expression))

    def _frozen(self, beyond_one: float | None) -> FrozenVariables:
        values = {} if beyond_one is None else {BEYOND_ONE: beyond_one}
        return FrozenVariables(self.cell, self.parameters, self.variances, values)

    def sites(self, count: int, seed: Seed = 0) -> Sites:
        """Return low-discrepancy sites of the joint law of all variables, of equal weight.

        Parameters
        ----------
        count
            The number of sites; powers of 2 are the most even.
        seed
            Of the scrambling of the Sobol sequence.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru
        >>> sites = fixed_points(gru, Parameters.of(gru, input_std=0))[-1].sites(4096)
        >>> round(sites.average(gru.states[0] ** 2), 3)
        0.38
        """
        spread = [k for k, variance in enumerate(self.variances) if variance > 0]
        z = low_discrepancy_normals(len(spread) + 1, count, generator(seed))
        means = [group.bias_mean for _, group in self.parameters.groups]
        gates = [np.full(count, mean) for mean in means]
        for row, k in enumerate(spread):
            gates[k] = means[k] + math.sqrt(self.variances[k]) * z[row]
        x = self.parameters.inputs.from_normal(z[-1])
        symbols = (*self.cell.gates, self.cell.input)
        with np.errstate(over="ignore", divide="ignore"):
            states = [
                array_function(symbols, state)(*gates, x) + np.zeros(count)
                for state in self.site.states
            ]
        return Sites.of(self.cell, self.parameters, states, gates, x)

    def loop_gain(self, beyond_one: float, *, thinned: bool = False) -> float:
        r"""Return the spectral radius of M(lambda), which is 1 at the edge of the spectrum.

        .. math:: M_{kj} = \sigma_k^2 E|H_{kj}(\lambda)|^2, \qquad
                  H = Y_s (\lambda - A)^{-1} B + Y_e

        Parameters
        ----------
        beyond_one
            lambda - 1, lambda real and outside the range of the memory A.
        thinned
            Whether to average on every other node of the quadrature.

        Notes
        -----
        lambda is outside the spectrum as N grows where it is below 1, for Gaussian and orthogonal
        weights alike.  For a GRU and an LSTM it is 1 where S(lambda) = 0 in the reference.

        References
        ----------
        :cite:t:`Can2020`; the form for any cell is ours.
        """
        frozen = replace(self._frozen(beyond_one), thinned=thinned)
        known: dict[sp.Expr, float] = {}
        matrix = np.zeros((len(self.variances),) * 2)
        for k, row in enumerate(self.site.transfer):
            sigma = self.parameters.groups[k][1].weight_std
            for j, entry in enumerate(row):
                if entry == 0 or sigma == 0:
                    continue
                if entry not in known:
                    known[entry] = frozen.average(entry**2)
                matrix[k, j] = sigma**2 * known[entry]
        if not np.all(np.isfinite(matrix)):
            return math.inf
        return float(np.max(np.abs(np.linalg.eigvals(matrix))))

    @cached_property
    def stable(self) -> bool:
        """Whether small changes die out: no eigenvalue of modulus 1 or more as N grows.

        The loop gain is subharmonic outside the unit disk, so that its largest value there is on
        the circle; it is looked for at 1 and -1.
        """
        gains = [self.loop_gain(at, thinned=True) for at in (0.0, -2.0)]
        return self.memory_reach <= 1 and max(gains) < 1

    @cached_property
    def memory_reach(self) -> float:
        """The largest modulus of an eigenvalue of A = df/ds over the sites: 1 for random gates.

        It is looked for on a grid of what A reads, from one limit of each random variable to the
        other, and refined from there; infinite where A has no bound.
        """
        memory = self.site.memory_derivatives
        axes = {symbol: values for symbol, values in self._ranges.items() if memory.has(symbol)}
        symbols = tuple(axes) or (self.cell.input,)
        entries = [array_function(symbols, entry) for entry in memory]

        def reach(points: list[np.ndarray]) -> np.ndarray:
            with np.errstate(all="ignore"):
                found = [np.broadcast_to(entry(*points), np.shape(points[0])) for entry in entries]
            matrices = np.stack(found, axis=-1).reshape(-1, memory.rows, memory.rows)
            # 0 * inf at a limit: points next to it show what comes of it.
            known = np.isfinite(matrices).all(axis=(1, 2))
            values = np.full(len(matrices), -np.inf)
            if known.any():
                values[known] = np.abs(np.linalg.eigvals(matrices[known])).max(axis=1)
            return values

        if not axes:
            return float(reach([np.zeros(1)])[0])
        count = next(n for n, most in _GRIDS if len(axes) <= most)
        spread = [_between(*ends, count) for ends in axes.values()]
        points = [axis.ravel() for axis in np.meshgrid(*spread, indexing="ij")]
        values = reach(points)
        best = int(np.argmax(values))
        if values[best] == -np.inf:
            raise HypothesisError(f"{self.cell.name}: what a site keeps at rest is not known")
        at = np.array([axis[best] for axis in points])
        further = reach([np.array([2 * value]) for value in at])[0]
        at_a_limit = np.any(np.abs(at) >= _SATURATED)
        if at_a_limit and further > (1 + _BOUNDED) * values[best]:
            return math.inf
        return _climbed(reach, at, list(axes.values()))

    @property
    def _ranges(self) -> dict[sp.Symbol, tuple[float, float]]:
        """The least and the largest value of each variable over the sites."""
        inputs = self.parameters.inputs
        bound = _SATURATED if self.parameters.input_kind == "gaussian" else 1.0
        bound = bound if inputs.variance > 0 else 0.0
        found = {self.cell.input: (-bound, bound)}
        for gate, (_, group), variance in zip(
            self.cell.gates, self.parameters.groups, self.variances, strict=True
        ):
            wide = _SATURATED if variance > 0 else 0.0
            found[gate] = (group.bias_mean - wide, group.bias_mean + wide)
        return found

    @property
    def spectral_radius(self) -> float:
        """The largest modulus of an eigenvalue as N grows, attained on the real axis.

        Where no edge lies beyond the memory of single sites it is their :attr:`memory_reach`.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru
        >>> zero, _ = fixed_points(gru, Parameters.of(gru, input_std=0))
        >>> round(zero.spectral_radius, 12)  # 1/2 + (1/2) (1/2) 3
        1.25
        """
        if self.memory_reach == math.inf:
            return math.inf
        return self.memory_reach + self.edge_beyond_memory()

    def edge_beyond_memory(self) -> float:
        """Return by how much the spectral radius exceeds the reach of the memory; often tiny."""
        ahead = self._edge(1)
        behind = self._beyond(-1, ahead) if ahead > 0 else self._beyond(-1, _CLOSEST)
        return max(ahead, self._edge(-1)) if self.loop_gain(behind, thinned=True) > 1 else ahead

    def _beyond(self, side: int, distance: float) -> float:
        """Return lambda - 1 at a distance from the memory, on the positive or negative axis."""
        reach = self.memory_reach
        return (reach - 1) + distance if side > 0 else -(1 + reach) - distance

    def _edge(self, side: int) -> float:
        """Return the distance from the memory to the edge on one side of the real axis; 0 if none.

        The loop gain falls with the distance.
        """

        def excess(log_distance: float, thinned: bool = True) -> float:
            gain = self.loop_gain(self._beyond(side, math.exp(log_distance)), thinned=thinned)
            return math.log(max(gain, 1e-300))

        nearest, high, step = math.log(_CLOSEST), 0.0, 1.0
        while excess(high) > 0:
            high += 1.0
        # From far to near: averages close to the memory are the expensive ones.
        while excess(low := max(high - step, nearest)) <= 0:
            if low == nearest:
                return 0.0
            high, step = low, 2 * step
        rough = bracketed_root(excess, low, high).unwrap()
        close = (rough - _CLOSE, rough + _CLOSE)

        def exact(log_distance: float) -> float:
            return excess(log_distance, thinned=False)

        if exact(close[0]) * exact(close[1]) > 0:
            close = (low, high)
        return math.exp(bracketed_root(exact, *close).unwrap())


def _between(low: float, high: float, count: int) -> np.ndarray:
    """Return values from one limit to the other, most of them close to the middle."""
    middle, wide = (low + high) / 2, (high - low) / 2
    return middle + wide * np.sinh(np.linspace(-8, 8, count)) / math.sinh(8)


def _climbed(
    reach: Callable[[list[np.ndarray]], np.ndarray],
    at: np.ndarray,
    limits: list[tuple[float, float]],
) -> float:
    """Return the maximum next to a point."""
    best, width = float(reach([value[None] for value in at])[0]), 1.0
    for _ in range(_REFINED):
        for k, (low, high) in enumerate(limits):
            for side in (-width, width):
                trial = at.copy()
                trial[k] = min(high, max(low, trial[k] + side))
                value = float(reach([each[None] for each in trial])[0])
                if value > best:
                    best, at = value, trial
        width *= _SHRINKS
    return best


def fixed_points(cell: Cell, parameters: Parameters) -> tuple[FixedPoint, ...]:
    r"""Find all self-consistent fixed points of a tied network with constant inputs.

    .. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2

    Parameters
    ----------
    cell
        A cell whose updates are affine in its memory.
    parameters
        Its hyperparameters; inputs and biases are constant in time.

    Returns
    -------
    tuple of FixedPoint
        From the smallest second moment to the largest.  The zero fixed point comes first where it
        exists.  Nonzero moments below 1e-12 or above 1e6 are not looked for, and two solutions
        closer than a relative 1e-8 not told apart; where several moments are unknown (LSTM with
        peepholes) they are those of moments below 100 to which Newton's method led from a grid
        of starts.

    Raises
    ------
    HypothesisError
        If the fixed points of a site have no closed form.
    ConvergenceError
        If a solution was seen but not pinned down.

    Notes
    -----
    Assumes large N.  For a GRU these are the equations for C_h and C_y of the reference, in which
    the update gate does not occur.

    References
    ----------
    :cite:t:`Can2020`.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> for point in fixed_points(gru, Parameters.of(gru, input_std=0)):
    ...     print([round(q, 6) for q in point.variances], point.stable)
    [0.0, 0.0, 0.0] False
    [3.419018, 0.379891, 0.923638] False
    """
    parameters.check_cell(cell)
    full = MomentMap(cell, parameters)
    thinned = MomentMap(cell, parameters, thinned=True)
    found = []
    for values in all_fixed_moments(cell, parameters):
        moments = full.completed(values)
        scale = np.where(moments > 0, moments, 1.0)
        at = list(full.unknown)
        residual = np.abs(full.image(values) - values) / scale[at]
        error = np.abs(thinned.completed(values) - moments) / scale
        rough = np.abs(thinned.image(values) - values) / scale[at]
        each = dict(zip(full.distinct, moments, strict=True))
        found.append(
            FixedPoint(
                cell,
                parameters,
                tuple(float(each.get(source, 0.0)) for source in full.site.sources),
                full.variances(moments),
                float(np.max(residual, initial=0.0)),
                float(max(np.max(error, initial=0.0), np.max(rough, initial=0.0))),
            )
        )
    if not found:
        raise HypothesisError(
            f"{cell.name}: no fixed point with moments between 1e-12 and 1e6: its states may grow "
            "without bound"
        )
    return tuple(found)
