"""Eigenvalues of one step in the plane: samples, and the boundary of their law over them."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting.outliers import bulk_limits

if TYPE_CHECKING:
    from rmt_jacobian.eigenvalues.law import EigenvalueLaw

__all__ = ["eigenvalue_figure", "plot_eigenvalues"]

_LAW, _POINTS, _CIRCLE = "#d55e00", "#0072b2", "#7f7f7f"
_MARGIN = 1.08
_FEW = 500  # eigenvalues that are drawn with larger points


def plot_eigenvalues(
    ax: Axes,
    *,
    law: "EigenvalueLaw | None" = None,
    sampled: np.ndarray | None = None,
    points: int = 400,
) -> Axes:
    """Draw sampled eigenvalues as points, the boundary of the law over them, and the unit circle.

    Parameters
    ----------
    ax
        Where to draw; both axes get the same scale.
    law
        The law: its boundary is a line, its atoms are rings with their masses.
    sampled
        Eigenvalues, of any shape.
    points
        Of each curve of the boundary.

    Raises
    ------
    ParameterError
        If there is neither a law nor a sample, or a sampled value is not finite.
    """
    if law is None and sampled is None:
        raise ParameterError("there are no eigenvalues to draw: give sampled ones or their law")
    angle = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(angle), np.sin(angle), linestyle="--", linewidth=0.9, color=_CIRCLE,
            label="unit circle")  # fmt: skip
    reach, values = [1.0], np.empty(0, dtype=complex)
    if sampled is not None:
        values = np.asarray(sampled, dtype=complex).ravel()
        if not np.isfinite(values).all():
            raise ParameterError("sampled eigenvalues must be finite")
        if values.size:
            reach.append(bulk_limits(np.abs(values))[1])
        size = 2.4 if values.size > _FEW else 4.0
        ax.plot(np.real(values), np.imag(values), linestyle="", marker="o", markersize=size,
                markeredgewidth=0, alpha=0.55, color=_POINTS,
                label=f"sampled, {values.size}")  # fmt: skip
    if law is not None:
        label = "boundary of the law"
        for curve in law.boundary(points):
            reach.append(float(np.abs(curve).max()))
            ax.plot(
                np.real(curve), np.imag(curve), color=_LAW, linewidth=1.5, label=label, zorder=3
            )
            label = "_"  # one entry for all curves
        for re, im, mass in law.atoms():
            reach.append(abs(complex(re, im)))
            ax.plot([re], [im], linestyle="", marker="o", markersize=9, markerfacecolor="none",
                    markeredgecolor=_LAW, markeredgewidth=1.5, zorder=3,
                    label=f"atom at {re:.3g}{im:+.3g}i: mass {mass:.3g}" if im
                    else f"atom at {re:.3g}: mass {mass:.3g}")  # fmt: skip
    end = _MARGIN * max(reach)
    beyond = values[np.maximum(abs(np.real(values)), abs(np.imag(values))) > end]
    if beyond.size:
        far = beyond[np.argmax(np.abs(beyond))]
        ax.text(
            0.98, 0.02, f"{beyond.size} of {values.size} outside the view,\nfarthest at "
            f"{np.real(far):.3g}{np.imag(far):+.3g}i", transform=ax.transAxes, ha="right",
            fontsize="small", color=_LAW,
        )  # fmt: skip
    ax.set_xlim(-end, end)
    ax.set_ylim(-end, end)
    for axis in (ax.xaxis, ax.yaxis):  # few enough that their labels do not touch
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_aspect("equal")
    ax.set_xlabel(r"$\mathrm{Re}\,\lambda$")
    ax.set_ylabel(r"$\mathrm{Im}\,\lambda$")
    ax.legend(loc="upper left", fontsize="small")
    return ax


def eigenvalue_figure(
    law: "EigenvalueLaw | None", sampled: np.ndarray | None, title: str, *, points: int = 400
) -> Figure:
    """Draw the law of the eigenvalues of one step, over sampled ones, under a title.

    See :func:`plot_eigenvalues`.

    Examples
    --------
    >>> figure = eigenvalue_figure(None, np.array([0.5, 0.2 + 0.1j, 0.2 - 0.1j]), "three values")
    >>> figure.axes[0].get_title()
    'three values'
    """
    figure = Figure(figsize=(5.4, 5.6), layout="constrained")
    ax = plot_eigenvalues(figure.subplots(), law=law, sampled=sampled, points=points)
    ax.set_title(title)
    return figure
