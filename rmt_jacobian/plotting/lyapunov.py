"""Lyapunov exponents against their quantile: theory over samples."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError

__all__ = ["lyapunov_figure", "plot_exponents"]

_THEORY, _LARGEST = "#d55e00", "#009e73"


def plot_exponents(
    quantiles: np.ndarray,
    ax: Axes,
    *,
    sampled: np.ndarray | None = None,
    standard_error: np.ndarray | None = None,
    theory: np.ndarray | None = None,
    largest_theory: float | None = None,
) -> Axes:
    """Draw exponents against the quantile x from the top: theory as a line, samples as points.

    Parameters
    ----------
    quantiles
        x of the exponents, in (0, 1).
    ax
        Where to draw.
    sampled, standard_error
        Means over samples and their standard errors, of which two are drawn.
    theory
        The law at the same quantiles.
    largest_theory
        The largest exponent by theory, a level line.

    Raises
    ------
    ParameterError
        If there is neither a sample nor theory to draw.
    """
    if sampled is None and theory is None and largest_theory is None:
        raise ParameterError("there are no exponents to draw: give sampled ones or theory")
    if sampled is not None:
        ax.plot(
            quantiles, _finite(sampled), linestyle="", marker="o", markersize=3.5,
            color="#56b4e9", markeredgecolor="#0072b2", markeredgewidth=0.4, label="sampled",
        )  # fmt: skip
        if standard_error is not None and np.isfinite(standard_error).any():
            ax.fill_between(
                quantiles, _finite(sampled - 2 * standard_error),
                _finite(sampled + 2 * standard_error), color="#0072b2", alpha=0.25, linewidth=0,
                label="± 2 standard errors",
            )  # fmt: skip
    if theory is not None:
        ax.plot(quantiles, _finite(theory), color=_THEORY, linewidth=1.6, label="theory")
    if largest_theory is not None:
        ax.axhline(
            largest_theory, color=_LARGEST, linewidth=1.0, linestyle="--",
            label="largest by theory",
        )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.set_xlabel("quantile $x$ from the top")
    ax.set_ylabel(r"Lyapunov exponent $\lambda(x)$ per step")
    ax.legend()
    return ax


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def lyapunov_figure(
    quantiles: np.ndarray,
    title: str,
    *,
    sampled: np.ndarray | None = None,
    standard_error: np.ndarray | None = None,
    theory: np.ndarray | None = None,
    largest_theory: float | None = None,
) -> Figure:
    """Draw exponents against their quantile under a title; see :func:`plot_exponents`.

    Examples
    --------
    >>> x = np.linspace(0.05, 0.95, 10)
    >>> figure = lyapunov_figure(x, "Newman's law", theory=np.log(1 - x) / 2)
    >>> figure.axes[0].get_xlabel()
    'quantile $x$ from the top'
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    ax = plot_exponents(
        quantiles,
        figure.subplots(),
        sampled=sampled,
        standard_error=standard_error,
        theory=theory,
        largest_theory=largest_theory,
    )
    ax.set_title(title)
    return figure
