"""The phase diagram of the GRU in the plane of its weight standard deviations."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["phase_diagram_figure", "plot_gru_phases"]

Curve = Sequence[Sequence[float]]

_ONSET, _INSTABILITY = math.sqrt(2.0), 2.0
_LOWEST, _HIGHEST = 0.3, 300.0  # of reset.weight_std, on a logarithmic axis
_RIGHT = 7.0
_COLORS = {"zero": "#f0f0f0", "three": "#f7d9b0", "nonzero": "#cfe4f2", "marginal": "#8fbfdf"}
_TRICRITICAL = (2.0, math.sqrt(8.0))


def plot_gru_phases(bifurcation: Curve, marginal_edge: Curve, ax: Axes) -> Axes:
    r"""Draw the phases of the GRU without input and biases, and the curves between them.

    Parameters
    ----------
    bifurcation
        Pairs of a_h and a_r*, above which there are three fixed points.
    marginal_edge
        Pairs of a_h and a_r with rho_0 = sqrt 2.
    ax
        Where to draw; a_h along, a_r upwards on a logarithmic axis.

    References
    ----------
    :cite:t:`Can2020`, Figure 2 left.
    """
    born = np.asarray(sorted(map(tuple, bifurcation)), dtype=float).reshape(-1, 2)
    edge = np.asarray(marginal_edge, dtype=float).reshape(-1, 2)
    _fill(born, edge, ax)
    for at, label in ((_ONSET, r"$a_h = \sqrt{2}$"), (_INSTABILITY, r"$a_h = 2$")):
        style = "--" if at == _ONSET else "-"
        ax.axvline(at, color="black", linewidth=1.0, linestyle=style, label=label)
    ax.plot(
        born[:, 0], born[:, 1], color="#d55e00", linewidth=1.8,
        label=r"$a_r^*(a_h)$: two fixed points appear",
    )  # fmt: skip
    # Without a reset gate, a_r = 0, is below every logarithmic axis.
    shown = np.maximum(edge, [-math.inf, _LOWEST / 10])
    ax.plot(
        shown[:, 0], shown[:, 1], color="#0072b2", linewidth=1.8,
        label=r"$\rho_0 = \sqrt{2}$: edge of marginal stability",
    )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlim(0.9, _RIGHT)
    ax.set_ylim(_LOWEST, _HIGHEST)
    ax.set_xlabel(r"candidate.weight_std, $a_h$")
    ax.set_ylabel(r"reset.weight_std, $a_r$")
    _name(ax)
    ax.legend(loc="upper right", framealpha=1.0)
    return ax


def _fill(born: np.ndarray, edge: np.ndarray, ax: Axes) -> None:
    ax.axvspan(0, _INSTABILITY, color=_COLORS["zero"], linewidth=0)
    ax.axvspan(_INSTABILITY, _RIGHT, color=_COLORS["nonzero"], linewidth=0)
    closed = np.concatenate([born, [_TRICRITICAL]]) if born.size else born
    ax.fill_between(closed[:, 0], closed[:, 1], 1e9, color=_COLORS["three"], linewidth=0)
    beyond = edge[edge[:, 0] >= _INSTABILITY]
    if beyond.size:
        order = beyond[np.argsort(beyond[:, 0])]
        first = [_INSTABILITY, np.interp(_INSTABILITY, *_increasing(edge))]
        order = np.concatenate([[first], order])
        ax.fill_between(
            order[:, 0], 1e-9, np.maximum(order[:, 1], 1e-9), color=_COLORS["marginal"], linewidth=0
        )


def _increasing(edge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = edge[np.argsort(edge[:, 0])]
    return order[:, 0], order[:, 1]


def _name(ax: Axes) -> None:
    ax.text(1.15, 1.0, "only the zero\nfixed point, stable", rotation=90, ha="center", va="center")
    ax.text(1.82, 50.0, "three fixed points", rotation=90, ha="center", va="center")
    ax.text(3.3, 0.75, "zero unstable, one other,\nmarginal: $\\rho_0 < \\sqrt{2}$", ha="center")
    ax.text(5.0, 11.0, "zero unstable, one other,\n$\\rho_0 > \\sqrt{2}$", ha="center")


def phase_diagram_figure(bifurcation: Curve, marginal_edge: Curve, title: str) -> Figure:
    """Draw the phase diagram of the GRU under a title; see :func:`plot_gru_phases`.

    Examples
    --------
    >>> figure = phase_diagram_figure([[1.9, 5.38]], [[3.9, 2.6], [6.5, 0.1]], "GRU")
    >>> figure.axes[0].get_xlabel()
    'candidate.weight_std, $a_h$'
    """
    figure = Figure(figsize=(7.6, 5.2), layout="constrained")
    plot_gru_phases(bifurcation, marginal_edge, figure.subplots()).set_title(title)
    return figure
