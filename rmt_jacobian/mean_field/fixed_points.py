r"""Fixed points of tied networks under constant inputs: their site laws and their stability.

At a fixed point all preactivations are constant in time.  At large N they are independent Gaussian
variables across sites and among each other, whose variances are self-consistent,

.. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad s = f(s, e, x) \text{ at each site}.
"""  # noqa: E501

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import sympy as sp

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.frozen import FrozenVariables
from rmt_jacobian.mean_field.moment_map import MomentMap, all_fixed_moments
from rmt_jacobian.mean_field.site_paths import low_discrepancy_normals
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.mean_field.stationary import BEYOND_ONE, StationarySite, stationary_site
from rmt_jacobian.solvers import bracketed_root

__all__ = ["FixedPoint", "fixed_points"]

_SATURATED = 1e3  # a preactivation at which gates have reached their limits
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
        >>> _, point = fixed_points(gru, Parameters.of(gru))
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
        >>> sites = fixed_points(gru, Parameters.of(gru))[-1].sites(4096)
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

        It is evaluated where each random preactivation has gone to one of its limits, and thus
        assumes that A is monotone in each of them.
        """
        corners = product(
            *(
                (group.bias_mean,) if variance == 0 else (-_SATURATED, _SATURATED)
                for (_, group), variance in zip(self.parameters.groups, self.variances, strict=True)
            )
        )
        symbols = (*self.cell.gates, self.cell.input)
        memory = self.site.memory_derivatives
        count = memory.rows
        largest = 0.0
        with np.errstate(all="ignore"):
            for corner in corners:
                at = [np.array(value) for value in (*corner, 0.0)]
                entries = [float(array_function(symbols, entry)(*at)) for entry in memory]
                matrix = np.nan_to_num(np.array(entries)).reshape(count, count)
                largest = max(largest, float(np.max(np.abs(np.linalg.eigvals(matrix)))))
        return largest

    @property
    def spectral_radius(self) -> float:
        """The largest modulus of an eigenvalue as N grows, attained on the real axis.

        Where no edge lies beyond the memory of single sites it is their :attr:`memory_reach`.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru
        >>> zero, _ = fixed_points(gru, Parameters.of(gru))
        >>> round(zero.spectral_radius, 12)  # 1/2 + (1/2) (1/2) 3
        1.25
        """
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
    >>> for point in fixed_points(gru, Parameters.of(gru)):
    ...     print([round(q, 6) for q in point.variances], point.stable)
    [0.0, 0.0, 0.0] False
    [3.419018, 0.379891, 0.923638] False
    """
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
