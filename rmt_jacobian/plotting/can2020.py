"""Figures of Can, Krishnamurthy and Schwab (2020): theory over sampled networks.

Every function computes what it draws: it takes the widths of the networks, the numbers of sites
behind the laws and a seed.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Cell, Parameters, gru, lstm
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.mean_field import Sites, gru_open_gain, marginal_exponent, stationary
from rmt_jacobian.plotting.can2020_panels import (
    colors,
    gain_symbol,
    plot_radius_against_gain,
    plot_slow_modes,
    plot_tied_eigenvalues,
)
from rmt_jacobian.sampling.networks.eigenvalues import jacobian_eigenvalues
from rmt_jacobian.sampling.networks.rest import network_at_rest
from rmt_jacobian.sampling.weights.ensembles import draw_weights

__all__ = ["can2020_figure1", "can2020_figure2_right", "can2020_figure3"]


def can2020_figure1(
    *,
    width: int = 1000,
    sites: int = 4096,
    gains: tuple[float, float] = (1.0, 10.0),
    reset_gains: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    update_gains: Sequence[float] = (10.0, 30.0, 100.0),
    at_rest: Collection[tuple[float, float]] = (),
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
    at_rest
        Pairs (a_z, a_r) of panels a to d whose law is that of the nonzero fixed point, and whose
        titles say so.  Otherwise it is that of the steady state of the tied network in time, which
        takes minutes at (10, 1).
    seed
        Of all random numbers.

    References
    ----------
    :cite:t:`Can2020`, Figure 1.
    """
    figure = _six_panels(
        gru, ("update", "reset"), width, width // 2, sites, gains, reset_gains, update_gains,
        at_rest, seed,
    )  # fmt: skip
    figure.suptitle(f"GRU, $a_h = 3$: networks of width {width} and their laws")
    return figure


def can2020_figure3(
    *,
    width: int = 1000,
    sites: int = 4096,
    gains: tuple[float, float] = (1.0, 10.0),
    output_gains: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    forget_gains: Sequence[float] = (10.0, 30.0, 100.0),
    at_rest: Collection[tuple[float, float]] = (),
    seed: int = 0,
) -> Figure:
    r"""Draw eigenvalues, spectral radius and slow modes of the LSTM at a_h = 3, a_i = 1.

    As :func:`can2020_figure1`, with forget and output gates in place of update and reset gates.

    Parameters
    ----------
    width, sites, seed
        As there; every network has 2 N eigenvalues.
    gains, at_rest
        The two values of a_f and of a_o in panels a to d, and pairs of them.
    output_gains
        Values of a_o in panel e.
    forget_gains
        Values of a_f in panel f.

    References
    ----------
    :cite:t:`Can2020`, Figure 3.
    """
    figure = _six_panels(
        lstm, ("forget", "output"), width, width // 4, sites, gains, output_gains, forget_gains,
        at_rest, seed,
    )  # fmt: skip
    figure.suptitle(f"LSTM, $a_h = 3$, $a_i = 1$: networks of width {width} and their laws")
    return figure


def _six_panels(
    cell: Cell,
    gates: tuple[str, str],
    width: int,
    radius_width: int,
    sites: int,
    gains: tuple[float, float],
    second_gains: Sequence[float],
    memory_gains: Sequence[float],
    at_rest: Collection[tuple[float, float]],
    seed: int,
) -> Figure:
    """Draw both figures: the first gate remembers, the second one is that of panel e."""
    memory, second = gates
    figure = Figure(figsize=(16, 10.4), layout="constrained")
    axes = figure.subplots(2, 3)
    base = Parameters.of(cell)
    _four_spectra(axes, cell, base, gates, gains, at_rest, width, sites, seed)
    plot_radius_against_gain(
        axes[0, 2], cell, base.with_values({f"{memory}.weight_std": 0.0}), second, second_gains,
        width=radius_width, sites=sites, seed=seed,
    )  # fmt: skip
    axes[0, 2].set_title(f"e  spectral radius, ${gain_symbol(memory)} = 0$")
    plot_slow_modes(axes[1, 2], cell, base, memory, memory_gains, width=width, seed=seed)
    axes[1, 2].set_title(f"f  slow modes, ${gain_symbol(second)} = 1$")
    return figure


def _four_spectra(
    axes: Any,
    cell: Cell,
    base: Parameters,
    gates: tuple[str, str],
    gains: tuple[float, float],
    at_rest: Collection[tuple[float, float]],
    width: int,
    sites: int,
    seed: int,
) -> None:
    for row, second in enumerate(gains):
        for column, first in enumerate(gains):
            values = {f"{gates[0]}.weight_std": first, f"{gates[1]}.weight_std": second}
            ax = axes[row, column]
            rest = (first, second) in at_rest
            plot_tied_eigenvalues(
                ax,
                cell,
                base.with_values(values),
                width=width,
                sites=sites,
                at_rest=rest,
                seed=seed,
            )
            note = " (law of the fixed point)" if rest else ""
            named = ", ".join(
                f"${gain_symbol(gate)} = {gain:g}$" for gate, gain in zip(gates, (first, second),
                                                                       strict=True)
            )  # fmt: skip
            ax.set_title(f"{'abcd'[2 * row + column]}  {named}{note}")


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
    base = Parameters.of(gru, input_std=0).with_values(
        {"reset.weight_std": fixed[0], "candidate.weight_std": fixed[1]}
    )
    eigenvalues = _pinched_network(base, max(update_gains), width, seed)
    left.plot(
        np.real(eigenvalues), np.imag(eigenvalues), linestyle="", marker="o", markersize=2.5,
        color="grey", markeredgewidth=0, alpha=0.6,
        label=f"network at rest, $a_z = {max(update_gains):g}$",
    )  # fmt: skip
    for gain, color in zip(update_gains, colors(len(update_gains)), strict=True):
        at = base.with_values({"update.weight_std": gain})
        point = stationary(gru, at, dynamics="at_rest").point
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
    values = [base.with_values({"update.weight_std": a}) for a in gains]
    points = [stationary(gru, at, dynamics="at_rest").point for at in values]
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
