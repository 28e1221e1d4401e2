"""Figures of Can, Krishnamurthy and Schwab (2020): theory over sampled networks.

Every function computes what it draws: it takes the widths of the networks, the numbers of sites
behind the laws and a seed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters, gru, lstm
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import (
    FixedPoint,
    Sites,
    fixed_points,
    gru_open_gain,
    marginal_exponent,
    slow_share,
    tied_steady_state,
)
from rmt_jacobian.pencils import EigenvalueLaw, eigenvalue_law
from rmt_jacobian.plotting.eigenvalues import plot_eigenvalues
from rmt_jacobian.sampling.eigenvalues import jacobian_eigenvalues
from rmt_jacobian.sampling.ensembles import draw_weights
from rmt_jacobian.sampling.plane import sample_eigenvalues
from rmt_jacobian.sampling.rest import network_at_rest

__all__ = [
    "can2020_figure1",
    "can2020_figure2_right",
    "can2020_figure3",
    "plot_radius_against_gain",
    "plot_slow_modes",
    "plot_tied_eigenvalues",
]

_LONGEST = 2048  # steps of memory up to which the steady state is solved for
_COLORS = ("#009e73", "#0072b2", "#cc79a7", "#d55e00", "#000000")
_SHORT = {"update": "z", "reset": "r", "forget": "f", "output": "o", "candidate": "h"}


def can2020_figure1(
    *,
    width: int = 1000,
    sites: int = 4096,
    gains: tuple[float, float] = (1.0, 10.0),
    reset_gains: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    update_gains: Sequence[float] = (10.0, 30.0, 100.0),
    seed: int = 0,
) -> Figure:
    r"""Draw eigenvalues, spectral radius and slow modes of the GRU at a_h = 3.

    (a-d) eigenvalues of one tied network over the boundary of their law, for the gains of the
    update and reset gates; (e) the spectral radius against a_r where the update gate is 1/2;
    (f) the share of eigenvalues within a distance of 1, for growing a_z.

    Parameters
    ----------
    width
        N of every sampled network.
    sites
        Behind every law, a multiple of 16.
    gains
        The two values of a_z and of a_r in panels a to d.
    reset_gains
        Values of a_r in panel e.
    update_gains
        Values of a_z in panel f.
    seed
        Of all random numbers.

    Notes
    -----
    The law stands on the steady state of the tied network in time.  Where that remembers for longer
    than 2048 steps it stands on the nonzero fixed point instead, and the panel says so.

    References
    ----------
    :cite:t:`Can2020`, Figure 1.
    """
    figure = Figure(figsize=(16, 10.4), layout="constrained")
    axes = figure.subplots(2, 3)
    base = Parameters.of(gru)
    _four_spectra(axes, gru, base, ("update", "reset"), gains, width, sites, seed)
    still = base.with_values({"update.weight_std": 0.0})
    plot_radius_against_gain(
        axes[0, 2], gru, still, "reset", reset_gains, width=width // 2, sites=sites, seed=seed
    )
    axes[0, 2].set_title("e  spectral radius, $a_z = 0$")
    plot_slow_modes(axes[1, 2], gru, base, "update", update_gains, width=width, seed=seed)
    axes[1, 2].set_title("f  slow modes, $a_r = 1$")
    figure.suptitle(f"GRU, $a_h = 3$: networks of width {width} and their laws")
    return figure


def can2020_figure3(
    *,
    width: int = 1000,
    sites: int = 4096,
    gains: tuple[float, float] = (1.0, 10.0),
    output_gains: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    forget_gains: Sequence[float] = (10.0, 30.0, 100.0),
    seed: int = 0,
) -> Figure:
    r"""Draw eigenvalues, spectral radius and slow modes of the LSTM at a_h = 3, a_i = 1.

    As :func:`can2020_figure1`, with forget and output gates in place of update and reset gates.

    Parameters
    ----------
    width, sites, seed
        As there; every network has 2 N eigenvalues.
    gains
        The two values of a_f and of a_o in panels a to d.
    output_gains
        Values of a_o in panel e.
    forget_gains
        Values of a_f in panel f.

    References
    ----------
    :cite:t:`Can2020`, Figure 3.
    """
    figure = Figure(figsize=(16, 10.4), layout="constrained")
    axes = figure.subplots(2, 3)
    base = Parameters.of(lstm)
    _four_spectra(axes, lstm, base, ("forget", "output"), gains, width, sites, seed)
    still = base.with_values({"forget.weight_std": 0.0})
    plot_radius_against_gain(
        axes[0, 2], lstm, still, "output", output_gains, width=width // 4, sites=sites, seed=seed
    )
    axes[0, 2].set_title("e  spectral radius, $a_f = 0$")
    plot_slow_modes(axes[1, 2], lstm, base, "forget", forget_gains, width=width, seed=seed)
    axes[1, 2].set_title("f  slow modes, $a_o = 1$")
    figure.suptitle(f"LSTM, $a_h = 3$, $a_i = 1$: networks of width {width} and their laws")
    return figure


def _four_spectra(
    axes: Any,
    cell: Cell,
    base: Parameters,
    gates: tuple[str, str],
    gains: tuple[float, float],
    width: int,
    sites: int,
    seed: int,
) -> None:
    for row, second in enumerate(gains):
        for column, first in enumerate(gains):
            values = {f"{gates[0]}.weight_std": first, f"{gates[1]}.weight_std": second}
            ax = axes[row, column]
            note = plot_tied_eigenvalues(
                ax, cell, base.with_values(values), width=width, sites=sites, seed=seed
            )
            named = ", ".join(
                f"$a_{_SHORT[gate]} = {gain:g}$" for gate, gain in zip(gates, (first, second),
                                                                       strict=True)
            )  # fmt: skip
            ax.set_title(f"{'abcd'[2 * row + column]}  {named}{note}")


def plot_tied_eigenvalues(
    ax: Axes, cell: Cell, parameters: Parameters, *, width: int, sites: int, seed: int = 0
) -> str:
    """Draw the eigenvalues of a tied network after a long run over the boundary of their law.

    Parameters
    ----------
    ax
        Where to draw.
    cell, parameters
        The cell and its hyperparameters.
    width, sites, seed
        Of the network, behind the law, and of both.

    Returns
    -------
    str
        What to add to a title: empty, or that the law is that of a fixed point, because the network
        remembers for too long to solve for its steady state.
    """
    law, note = _law(cell, parameters, sites, seed)
    sampled = sample_eigenvalues(
        cell, parameters, weights="gaussian", width=width, samples=1, seed=seed, workers=1
    )
    plot_eigenvalues(ax, law=law, sampled=sampled)
    return note


def _law(cell: Cell, parameters: Parameters, sites: int, seed: int) -> tuple[EigenvalueLaw, str]:
    try:
        steady = tied_steady_state(
            cell, parameters, lags=4, sites=sites, longest_period=_LONGEST, seed=seed
        )
        return eigenvalue_law(steady.sites()), ""
    except ConvergenceError:
        return _law_at_rest(cell, parameters, sites, seed), " (law of the fixed point)"


def _law_at_rest(cell: Cell, parameters: Parameters, sites: int, seed: int) -> EigenvalueLaw:
    return eigenvalue_law(fixed_points(cell, parameters)[-1].sites(sites, seed))


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
        along.append(_law(cell, here, sites, seed)[0].spectral_radius)
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
    ax.set(xlabel=f"$a_{_SHORT[gate]}$", ylabel=r"$|\lambda|_{\max}$")
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
    for gain, color in zip(gains, _colors(len(gains)), strict=True):
        point = fixed_points(cell, parameters.with_values({f"{gate}.weight_std": gain}))[-1]
        distances = np.sort(np.abs(1 - _at_fixed_point(point, width, seed)))[:width]
        nearest = max(float(distances[0]), 1e-15)
        r = np.geomspace(nearest, 0.3, 100)
        shares = [slow_share(point, float(each), gate) for each in r]
        label = f"$a_{_SHORT[gate]} = {gain:g}$"
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


def can2020_figure2_right(
    *,
    width: int = 300,
    sites: int = 8192,
    update_gains: Sequence[float] = (2.0, 5.0, 10.0, 20.0),
    fixed: tuple[float, float] = (2.0, 3.0),
    largest_gain: float = 100.0,
    seed: int = 0,
) -> Figure:
    r"""Draw how a strong update gate pinches the spectrum of the GRU at 1.

    Left: the boundary near 1 at a fixed point for growing a_z, over the eigenvalues of a network at
    rest with the largest of them.  Right: by how much the spectral radius exceeds 1, and the
    exponential :math:`e^{-c \sqrt{C_h} a_z}` that it follows.

    Parameters
    ----------
    width
        N of the network, whose fixed point the update gate does not move.
    sites
        Behind the boundaries.
    update_gains
        Values of a_z on the left.
    fixed
        a_r and a_h.
    largest_gain
        Of a_z on the right.
    seed
        Of all random numbers.

    References
    ----------
    :cite:t:`Can2020`, Figure 2 right and Theorem 7.
    """
    figure = Figure(figsize=(12.4, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    base = Parameters.of(gru).with_values(
        {"reset.weight_std": fixed[0], "candidate.weight_std": fixed[1]}
    )
    eigenvalues = _pinched_network(base, max(update_gains), width, seed)
    left.plot(
        np.real(eigenvalues), np.imag(eigenvalues), linestyle="", marker="o", markersize=2.5,
        color="grey", markeredgewidth=0, alpha=0.6,
        label=f"network at rest, $a_z = {max(update_gains):g}$",
    )  # fmt: skip
    for gain, color in zip(update_gains, _colors(len(update_gains)), strict=True):
        point = fixed_points(gru, base.with_values({"update.weight_std": gain}))[-1]
        label = f"$a_z = {gain:g}$"
        for curve in eigenvalue_law(point.sites(sites, seed)).boundary(800):
            left.plot(np.real(curve), np.imag(curve), color=color, linewidth=1.4, label=label)
            label = "_"
    left.set(xlim=(0.6, 1.15), ylim=(-0.275, 0.275), xlabel=r"$\mathrm{Re}\,\lambda$",
             ylabel=r"$\mathrm{Im}\,\lambda$", title="boundary near 1")  # fmt: skip
    left.set_aspect("equal")
    left.legend(loc="lower left", fontsize="small")
    _marginal_panel(right, base, largest_gain)
    figure.suptitle(f"GRU, $a_r = {fixed[0]:g}$, $a_h = {fixed[1]:g}$: pinching at 1")
    return figure


def _marginal_panel(ax: Axes, base: Parameters, largest: float) -> None:
    gains = np.linspace(1.0, largest, 24)
    points = [fixed_points(gru, base.with_values({"update.weight_std": a}))[-1] for a in gains]
    excess = np.array([p.edge_beyond_memory() for p in points])
    C_h = points[0].moments[0]
    c = marginal_exponent(gru_open_gain(points[0]), C_h)
    # The constant in front is not known: the line ends where the curve does.
    line = excess[-1] * np.exp(-c * np.sqrt(C_h) * (gains - gains[-1]))
    ax.plot(gains, excess, color="#0072b2", marker="o", markersize=4, label="theory, exact")
    ax.plot(gains, line, color="black", linestyle="--",
            label=rf"$e^{{-c \sqrt{{C_h}} a_z}}$, $c = {c:.4f}$, $C_h = {C_h:.4f}$")  # fmt: skip
    ax.set_yscale("log")
    ax.set(xlabel="$a_z$", ylabel=r"$|\lambda|_{\max} - 1$", title="marginal stability")
    ax.legend(loc="upper right")


def _pinched_network(base: Parameters, gain: float, width: int, seed: int) -> np.ndarray:
    """Return the eigenvalues of a network at rest, once it got a stronger update gate."""
    first, second = spawn(seed, 2)
    step = network_at_rest(
        gru, base.with_values({"update.weight_std": 0.0}), width=width, rng=first
    )
    update = draw_weights("gaussian", width, gain, second)
    gates = [update.apply(step.states[0]), *step.gates[1:]]
    sites = Sites.of(gru, base.with_values({"update.weight_std": gain}), step.states, gates, step.x)
    return jacobian_eigenvalues(sites, [update, *step.weights[1:]])


def _colors(count: int) -> list[Any]:
    return [_COLORS[k % len(_COLORS)] for k in range(count)]
