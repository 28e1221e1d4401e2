r"""Sites of which some are drawn where the moments of a product come from.

The diagonal of :math:`J J^T` at a site is a sum over *windows*: the state is entered through W at
step t and kept by the gate until step s, with the factor

.. math:: \sigma_w^2 B_t^2 A_{t+1}^2 \cdots A_s^2 .

Where gates are closed at most sites, the means of these products and of their squares come from
sites too rare to be drawn.  So a fifth of the sites follows laws in which the preactivations of
one window are tilted by these very factors, and all sites are weighted as draws from the mixture,

.. math:: w^{-1} \propto \tfrac45 + \tfrac15 \sum_{p = 2, 4} \sum_{t \le s} \pi_{p,t,s} \,
          \frac{E[B^p | e_t]}{E[B^p]} \prod_{r=t+1}^{s} \frac{A_r^p}{E[A^p]} .

This is the balance heuristic of :cite:t:`VeachGuibas1995`: no weight is above 5/4 of that of a
plain site, and what a site adds to a moment is bounded.
"""

import math
from dataclasses import dataclass

import numpy as np
import sympy as sp
from scipy.special import ndtri

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import array_function
from rmt_jacobian.counts import check_counts
from rmt_jacobian.mean_field import SiteLaw
from rmt_jacobian.mean_field.averages.bends import drawn_deviation
from rmt_jacobian.mean_field.averages.one_site import site_terms
from rmt_jacobian.pencils.chain.history import (
    SiteHistory,
    clipped,
    scrambled_sobol,
    site_paths,
)

__all__ = ["window_sites"]

_SHARE = 0.25  # of sites in windows, over plain ones
_REACH = 38.0  # standard deviations; the density there is the least number
_CELLS = 7601  # of the table of a tilted law, evenly spread in standard deviations
_STEP = 0.005  # and others at e = sinh(k step), where gates bend, however widely e is spread


@dataclass(frozen=True)
class _Tilted:
    """A law of the preactivation with density proportional to p(e) f(e), as a table.

    Attributes
    ----------
    nodes
        Values of e, increasing.
    log_factor
        log f there, up to what makes its mean 1.
    log_mean
        log E[f].
    edges, below
        Ends of the cells around the nodes, and the distribution function there.
    """

    nodes: np.ndarray
    log_factor: np.ndarray
    log_mean: float
    edges: np.ndarray
    below: np.ndarray

    @classmethod
    def of(cls, nodes: np.ndarray, log_density: np.ndarray, factor: np.ndarray) -> "_Tilted | None":
        """Tabulate the law; None if the factor vanishes."""
        if factor.max() == 0:
            return None
        log_factor = np.log(np.maximum(factor, np.finfo(float).tiny))
        total = log_density + log_factor
        masses = np.exp(total - total.max())
        edges = np.concatenate([nodes[:1], (nodes[1:] + nodes[:-1]) / 2, nodes[-1:]])
        below = np.concatenate([[0.0], np.cumsum(masses)])
        log_mean = float(total.max() + math.log(below[-1]))
        return cls(nodes, log_factor - log_mean, log_mean, edges, below / below[-1])

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the quantiles of the tilted law."""
        return np.interp(u, self.below, self.edges)

    def log_ratio(self, e: np.ndarray) -> np.ndarray:
        """Return the logarithm of the tilted density over the plain one."""
        return np.interp(e, self.nodes, self.log_factor)


@dataclass(frozen=True)
class _Windows:
    """The windows of one power p with their shares, a Markov chain in time.

    Attributes
    ----------
    enter, keep
        The laws of e in the first step of a window and in the others; None where nothing enters
        or is kept.
    log_enter, log_keep
        Logarithms of what enters in a step, and of what is kept, as shares of the moment's growth.
    log_leave
        Of the share of windows that end before the last step.
    """

    enter: _Tilted | None
    keep: _Tilted | None
    log_enter: float
    log_keep: float
    log_leave: float

    def log_ending(self, enter: np.ndarray, keep: np.ndarray) -> np.ndarray:
        r"""Return the logarithm of the sum over windows that end with each step.

        .. math:: F_t = k_t F_{t-1} + b_t, \qquad F_0 = 1

        Parameters
        ----------
        enter, keep
            Logarithms of the factors, shape (sites, T).
        """
        sums = [np.zeros(len(enter))]
        for b, k in zip(self.log_enter + enter.T, self.log_keep + keep.T, strict=True):
            sums.append(np.logaddexp(k + sums[-1], b))
        return np.stack(sums[1:], axis=1)

    def _total(self, ending: np.ndarray) -> np.ndarray:
        """Return the logarithm of the sum over all windows."""
        leave = np.append(np.full(ending.shape[1] - 1, self.log_leave), 0.0)
        return np.logaddexp.reduce(ending + leave, axis=1)

    def log_ratio(self, e: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density of the windows' mixture over the plain one."""
        nothing = np.zeros(e.shape)
        enter, keep = (
            nothing if law is None else law.log_ratio(e) for law in (self.enter, self.keep)
        )
        plain = self.log_ending(nothing[:1], nothing[:1])
        return self._total(self.log_ending(enter, keep)) - self._total(plain)

    def drawn(self, choice: np.ndarray, uniform: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return the preactivations with one window of each site replaced by its tilted law.

        Parameters
        ----------
        choice
            Which window, in (0, 1), shape (sites,).
        uniform, e
            The quantile of every preactivation, and its value in the plain law; (sites, T).
        """
        steps, e = e.shape[1], e.copy()
        nothing = np.zeros((1, steps))
        ending = self.log_ending(nothing, nothing)[0]
        share = ending + np.where(np.arange(steps) < steps - 1, self.log_leave, 0.0)
        below = np.cumsum(np.exp(share - share.max()))
        end = np.minimum(np.searchsorted(below, choice * below[-1]), steps - 1)
        within = (below[end] - choice * below[-1]) / np.exp(share - share.max())[end]
        lags = np.concatenate([[0.0], np.cumsum(np.full(steps - 1, self.log_keep))])
        entered = np.logaddexp.accumulate(self.log_enter + lags)
        with np.errstate(divide="ignore"):
            kept = np.searchsorted(entered, np.log(within) + ending[end])
        step = np.arange(steps)[None, :]
        start, end = (end - kept)[:, None], end[:, None]  # -1 or less: it lasts from the beginning
        for law, inside in (
            (self.enter, step == start),
            (self.keep, (step > start) & (step <= end)),
        ):
            if law is not None:
                e[inside] = law.quantile(uniform[inside])
        return e


def window_sites(law: SiteLaw, steps: int, count: int, seed: Seed = 0) -> SiteHistory:
    """Run low-discrepancy sites, and a quarter as many in windows, all weighted as one mixture.

    Parameters
    ----------
    law
        The stationary law of one site.
    steps, count
        T and the number of plain sites.
    seed
        Of the randomisation.

    Raises
    ------
    HypothesisError
        If the moments of a diagonal do not follow from moments of the state.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field import site_law
    >>> closed = Parameters.of(minimalrnn).with_values(bias_mean=-30.0)
    >>> law = site_law(minimalrnn, closed)  # one gate in a million is half open
    >>> sites = window_sites(law, 1, 256)
    >>> A, B = sites.direct[0], law.parameters.only.weight_std * sites.gate[0]
    >>> bool(abs(sum(sites.weights * (A**2 + B**2)) / law.chi1 - 1) < 0.05)
    True
    """
    rng = generator(seed)
    check_counts({"the number of sites": count}, steps=steps)
    extra = math.ceil(_SHARE * count)
    plain = clipped(scrambled_sobol(2 * steps + 1, count, rng))
    other = clipped(scrambled_sobol(2 * steps + 2, extra, rng))
    mean = law.parameters.only.bias_mean
    std = drawn_deviation(law.cell, law.preactivation_variance, mean)
    gates = other[:, 1 : 2 * steps + 1 : 2]
    tilted, windows = mean + std * ndtri(gates), [_windows(law, power) for power in (2, 4)]
    choice = 2 * other[:, -1]
    for mine, at, each in ((choice < 1, 0, windows[0]), (choice >= 1, 1, windows[1])):
        tilted[mine] = each.drawn(choice[mine] - at, gates[mine], tilted[mine])
    e = np.concatenate([mean + std * ndtri(plain[:, 1::2]), tilted])
    ratio = np.exp(np.logaddexp(*(each.log_ratio(e) for each in windows)) - math.log(2))
    weights = 1 / (count + extra * ratio)
    inputs = np.concatenate([plain[:, 2::2], other[:, 2 : 2 * steps + 1 : 2]])
    first = np.concatenate([plain[:, 0], other[:, 0]])
    return site_paths(law, first, e, ndtri(inputs), rng, weights / weights.sum())


def _windows(law: SiteLaw, power: int) -> _Windows:
    """Return the windows of the p-th powers, with the shares that they have in the moment."""
    nodes, log_density = _plain(law)
    keep = _Tilted.of(
        nodes, log_density, _factor(law, law.cell.state_derivatives[0][0], power, nodes)
    )
    enter = _Tilted.of(
        nodes, log_density, _factor(law, law.cell.gate_derivatives[0][0], power, nodes)
    )
    growth = math.log(law.chi1) * power / 2
    log_keep = -math.inf if keep is None else keep.log_mean - growth
    scale = power / 2 * math.log(law.parameters.only.weight_std**2)
    log_enter = -math.inf if enter is None else enter.log_mean + scale - growth
    # The two factors of a square leave a site together with the rest of the product, at no loss.
    leave = max(1e-300, -math.expm1(log_keep)) if power == 2 else 1.0
    return _Windows(enter, keep, log_enter, log_keep, math.log(leave))


def _plain(law: SiteLaw) -> tuple[np.ndarray, np.ndarray]:
    """Return values of e and the logarithms of the masses of the plain law around them."""
    mean = law.parameters.only.bias_mean
    std = drawn_deviation(law.cell, law.preactivation_variance, mean)
    z = np.linspace(-_REACH, _REACH, _CELLS)
    ends = np.arcsinh(mean + std * z[[0, -1]])
    bends = (np.sinh(np.arange(ends[0], ends[1], _STEP)) - mean) / std
    z = np.unique(np.concatenate([z, bends]))
    return mean + std * z, np.log(np.gradient(z)) - z * z / 2 - math.log(2 * math.pi) / 2


def _factor(law: SiteLaw, diagonal: sp.Expr, power: int, nodes: np.ndarray) -> np.ndarray:
    """Return E[D^p | e] of a diagonal at preactivations e."""
    total = np.zeros(nodes.shape)
    for term in site_terms(law.cell, diagonal**power):
        moments = law.state_moment(term.state_power) * law.parameters.inputs.moment(
            term.input_power
        )
        total = total + moments * array_function(law.cell.gates, term.coefficient)(nodes)
    return np.maximum(total, 0.0)
