"""Panels of the figures of Can, Krishnamurthy and Schwab (2020): laws over sampled networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.eigenvalues import EigenvalueLaw, eigenvalue_law
from rmt_jacobian.mean_field import FixedPoint, slow_share, stationary, tied_steady_state
from rmt_jacobian.plotting.eigenvalues import plot_eigenvalues
from rmt_jacobian.sampling.networks.eigenvalues import jacobian_eigenvalues
from rmt_jacobian.sampling.networks.plane import sample_eigenvalues
from rmt_jacobian.sampling.weights.ensembles import draw_weights

__all__ = [
    "colors",
    "gain_symbol",
    "plot_radius_against_gain",
    "plot_slow_modes",
    "plot_tied_eigenvalues",
]

_LONGEST = 16_384  # steps of the circle of times
_COLORS = ("#009e73", "#0072b2", "#cc79a7", "#d55e00", "#000000")
_SHORT = {"update": "z", "reset": "r", "forget": "f", "output": "o", "candidate": "h"}


def gain_symbol(gate: str) -> str:
    """Return the letter of the paper for the weight_std of a gate, in LaTeX."""
    return f"a_{_SHORT[gate]}"


def colors(count: int) -> list[Any]:
    """Return that many colours, again from the first one after the last."""
    return [_COLORS[k % len(_COLORS)] for k in range(count)]


def plot_tied_eigenvalues(
    ax: Axes,
    cell: Cell,
    parameters: Parameters,
    *,
    width: int,
    sites: int,
    at_rest: bool = False,
    seed: int = 0,
) -> Axes:
    """Draw the eigenvalues of a tied network after a long run over the boundary of their law.

    Parameters
    ----------
    ax
        Where to draw.
    cell, parameters
        The cell and its hyperparameters.
    width, sites, seed
        Of the network, behind the law, and of both.
    at_rest
        Whether the law is that of the nonzero fixed point, which is found at once, rather than of
        the steady state in time.

    Raises
    ------
    ConvergenceError
        If the steady state is not found.
    """
    law = (_law_at_rest if at_rest else _law_along)(cell, parameters, sites, seed)
    sampled = sample_eigenvalues(
        cell, parameters, weights="gaussian", width=width, samples=1, seed=seed, workers=1
    )
    return plot_eigenvalues(ax, law=law, sampled=sampled)


def _law_along(cell: Cell, parameters: Parameters, sites: int, seed: int) -> EigenvalueLaw:
    steady = tied_steady_state(
        cell, parameters, lags=4, sites=sites, longest_period=_LONGEST, seed=seed
    )
    return eigenvalue_law(steady.sites())


def _law_at_rest(cell: Cell, parameters: Parameters, sites: int, seed: int) -> EigenvalueLaw:
    point = stationary(cell, parameters, dynamics="at_rest").point
    return eigenvalue_law(point.sites(sites, seed))


def plot_radius_against_gain(
    ax: Axes,
    cell: Cell,
    parameters: Parameters,
    gate: str,
    gains: Sequence[float],
    *,
    width: int,
    sites: int,
    samples: int = 3,
    seed: int = 0,
) -> Axes:
    r"""Draw the spectral radius against the gain of a gate: along a tied network, and at rest.

    Parameters
    ----------
    ax
        Where to draw, both axes logarithmic.
    cell, parameters
        The cell and its other hyperparameters.
    gate, gains
        The name of the gate's preactivation, and values of its weight_std.
    width, samples
        Of the networks.
    sites
        Behind the law along a network.
    seed
        Of all random numbers.

    References
    ----------
    :cite:t:`Can2020`, Figures 1e and 3e.
    """
    along, rest, sampled = [], [], []
    for gain in gains:
        here = parameters.with_values({f"{gate}.weight_std": gain})
        rest.append(_law_at_rest(cell, here, sites, seed).spectral_radius)
        along.append(_law_along(cell, here, sites, seed).spectral_radius)
        values = sample_eigenvalues(
            cell, here, weights="gaussian", width=width, samples=samples, seed=seed, workers=1
        )
        sampled.append(np.abs(values).max(axis=1))
    ax.plot(gains, rest, color="black", linestyle="--", label="theory, nonzero fixed point")
    ax.plot(gains, along, color="#d55e00", label="theory, along the tied network")
    ax.plot(
        np.repeat(gains, samples), np.ravel(sampled), linestyle="", marker="o",
        markerfacecolor="none", color="#0072b2", label=f"{samples} networks of width {width} each",
    )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel=f"${gain_symbol(gate)}$", ylabel=r"$|\lambda|_{\max}$")
    ax.legend(loc="upper left")
    return ax


def plot_slow_modes(
    ax: Axes,
    cell: Cell,
    parameters: Parameters,
    gate: str,
    gains: Sequence[float],
    *,
    width: int,
    seed: int = 0,
) -> Axes:
    r"""Draw the share of eigenvalues within a distance r of 1, for growing gain of a gate.

    .. math:: P(|\lambda - 1| < r) \simeq
              \tfrac12 \operatorname{erfc} \frac{-\log r}{a \sqrt{2 C_h}}

    The Jacobian has Gaussian W and the gates of the sites at the nonzero fixed point.

    Parameters
    ----------
    ax
        Where to draw; the distance runs to the left.
    cell, parameters
        The cell and its other hyperparameters.
    gate, gains
        ``"update"`` or ``"forget"``, and values of its weight_std.
    width
        Number of sites; shares are of as many eigenvalues, though an LSTM has twice as many.
    seed
        Of sites and weights.

    References
    ----------
    :cite:t:`Can2020`, Figures 1f and 3f.
    """
    for gain, color in zip(gains, colors(len(gains)), strict=True):
        at = parameters.with_values({f"{gate}.weight_std": gain})
        point = stationary(cell, at, dynamics="at_rest").point
        distances = np.sort(np.abs(1 - _at_fixed_point(point, width, seed)))[:width]
        nearest = max(float(distances[0]), 1e-15)
        r = np.geomspace(nearest, 0.3, 100)
        shares = [slow_share(point, float(each), gate) for each in r]
        label = f"${gain_symbol(gate)} = {gain:g}$"
        ax.plot(r, shares, color=color, linewidth=1.6, label=label + ", theory")
        shown = (distances <= 0.3) & (np.arange(width) % max(1, width // 200) == 0)
        ax.plot(
            distances[shown], (np.arange(1, width + 1) / width)[shown], linestyle="", marker="o",
            markersize=3, markerfacecolor="none", color=color, label=label + ", sampled",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set(xlabel="$r$", ylabel=r"share of sites with $|\lambda - 1| < r$", ylim=(0, 0.6))
    ax.legend(loc="upper left")
    return ax


def _at_fixed_point(point: FixedPoint, width: int, seed: Seed) -> np.ndarray:
    """Return the eigenvalues of a Jacobian with drawn W at the sites of a fixed point."""
    first, second = spawn(seed, 2)
    sites = point.sites(width, first)
    matrices = [
        draw_weights("gaussian", width, group.weight_std, second)
        for _, group in point.parameters.groups
    ]
    return jacobian_eigenvalues(sites, matrices)
