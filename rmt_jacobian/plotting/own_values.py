"""Laws by themselves, and singular values that a user brings beside a law."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.comparison import checked_law, checked_values, compare
from rmt_jacobian.eigenvalues import EigenvalueLaw
from rmt_jacobian.laws import Law
from rmt_jacobian.laws.manners import Manners
from rmt_jacobian.lyapunov import LyapunovLaw
from rmt_jacobian.plotting.eigenvalues import plot_eigenvalues
from rmt_jacobian.plotting.laws import axes_or_own, plot_law
from rmt_jacobian.plotting.spectra import DrawableLaw, plot_law as plot_density, plot_overlay
from rmt_jacobian.singular_values import SingularValueLaw

__all__ = ["draw_law", "plot"]

_POINTS = 800
_SPREAD = 1e3  # between the quantiles of 5 % and 95 %, beyond which a law is drawn over log10 s
_NARROW = 0.5  # width of a band relative to its end, below which the axis leaves out 0
_TALLEST, _HARD = 0.98, 2.0  # quantile of heights; ratio above which the rest is cut
_SEEN = 0.999  # of the mass is shown, where a law has a long tail


@named_arguments
def plot(
    values: ArrayLike,
    law: DrawableLaw | str,
    ax: Axes | None = None,
    *,
    bins: int = 60,
    log: bool | None = None,
    states: int | None = None,
    title: str = "",
) -> Axes:
    """Draw a histogram of singular values, the law over it, and their distances in the legend.

    Parameters
    ----------
    values
        Shape (N,), or (networks, N).
    law
        Their law, or its notation, such as ``"quarter-circle(2)"``.
    ax
        Where to draw; by default the present axes of pyplot.
    bins, log
        The number of bars, and whether they are of log10 s; by default where the values spread
        over orders of magnitude.
    states
        As in :func:`.compare`.
    title
        Of the axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> plot([0.5, 1.0, 1.5], "quarter-circle(2)", Figure().subplots()).get_xlabel()
    'singular value $s$'
    """
    known = checked_law(law)
    checked = checked_values(values)
    found = compare(checked, known, states=states)
    drawn = plot_overlay(checked, known, axes_or_own(ax), bins=bins, log=log, comparison=found)
    label = drawn.get_xlabel().replace(" of $J$", "")
    if getattr(known, "squared", False):
        label = label.replace("singular value $s$", "$s^2$").replace("log_{10} s", "log_{10} s^2")
    drawn.set_xlabel(label)
    if title:
        drawn.set_title(title)
    return drawn


def draw_law(law: Manners | EigenvalueLaw, ax: Axes | None = None) -> Axes:
    """Draw the density of a law, or the boundary of one in the plane, and its atoms.

    Parameters
    ----------
    law
        Any law: of the package's own, of singular values, exponents or eigenvalues.
    ax
        Where to draw; by default the present axes of pyplot.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rmt_jacobian.laws import Semicircle
    >>> draw_law(Semicircle(), Figure().subplots()).get_ylabel()
    'density'
    """
    axes = axes_or_own(ax)
    if isinstance(law, EigenvalueLaw):
        return plot_eigenvalues(axes, law=law)
    if isinstance(law, LyapunovLaw):
        return _draw_exponents(law, axes)
    if isinstance(law, SingularValueLaw):
        return _draw_singular_values(law, axes)
    assert isinstance(law, Law)
    return plot_law(law, axes)


def _draw_exponents(law: LyapunovLaw, ax: Axes) -> Axes:
    low = float(law.at(_SEEN * law.rank))
    x = np.linspace(low, law.largest, _POINTS)
    ax.plot(x, law.pdf(x), color="#0072b2", linewidth=1.4)
    for _, mass in law.atoms():
        ax.set_title(f"a share {mass:.3g} is minus infinity", fontsize="small")
    ax.set_xlabel(r"Lyapunov exponent $\lambda$ / step")
    ax.set_ylabel("density")
    ax.set_ylim(0)
    return ax


def _start(law: SingularValueLaw, low: float, high: float) -> float:
    """Return where a linear axis starts: at 0, or below a band that is narrow beside its place."""
    if high - low > _NARROW * high or any(place < low for place, _ in law.atoms()):
        return 0.0
    return low - 0.05 * (high - low)


def _draw_singular_values(law: SingularValueLaw, ax: Axes) -> Axes:
    atom = sum(mass for _, mass in law.atoms())
    low, high = (float(law.ppf(atom + (1 - atom) * p)) for p in (1 - _SEEN, _SEEN))
    log = low > 0 and high > _SPREAD * low
    bottom = np.log10(low) if log else _start(law, float(law.ppf(atom + 0.02 * (1 - atom))), high)
    ax.set_xlim(bottom, np.log10(high) if log else high + 0.05 * (high - bottom))
    plot_density(law, ax, log=log)
    name = "s^2" if law.squared else "s"
    ax.set_xlabel(rf"$\log_{{10}} {name}$" if log else f"${name}$")
    ax.set_ylabel("density")
    if atom:
        ax.legend(fontsize="small")
    heights = np.asarray(ax.lines[0].get_ydata(), dtype=float)
    tall = 1.1 * float(np.nanquantile(heights, _TALLEST))
    hard = not atom and np.nanmax(heights) > _HARD * tall > 0  # an edge runs out of the axes
    ax.set_ylim(0, tall if hard else None)
    return ax
