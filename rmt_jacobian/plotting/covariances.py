"""Covariances in time of tied networks: theory over simulated points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.tied.steady_state import TiedSteadyState

__all__ = ["covariance_figure", "plot_covariances"]

# Colours of Okabe & Ito, told apart by readers with any colour vision.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def plot_covariances(
    lags: np.ndarray,
    theory: np.ndarray,
    ax: Axes,
    *,
    theory_error: np.ndarray | None = None,
    sampled: np.ndarray | None = None,
    sampled_error: np.ndarray | None = None,
    label: str = "",
    colour: str = _COLOURS[0],
) -> Axes:
    """Draw one covariance against the lag: theory as a line, samples as points with error bars.

    Parameters
    ----------
    lags
        Shape (L,).
    theory, theory_error
        Shape (L,); two standard errors are drawn as a band.
    ax
        Where to draw.
    sampled, sampled_error
        At the first lags, shape (M,) with M <= L; two standard errors are drawn.
    label
        Of the line; points have none.
    colour
        Of all of it.

    Raises
    ------
    ParameterError
        If the shapes do not agree.

    Examples
    --------
    >>> ax = Figure().subplots()
    >>> plot_covariances(np.arange(3), np.array([1.0, 0.5, 0.2]), ax).get_xlabel()
    'lag, in steps'
    """
    shown = 0 if sampled is None else len(sampled)
    sizes = [len(theory)] + ([] if theory_error is None else [len(theory_error)])
    if any(size != len(lags) for size in sizes) or shown > len(lags):
        raise ParameterError(
            f"there are {len(lags)} lags, but {sizes} values of theory and {shown} sampled ones: "
            "give one value for each lag, and samples at the first lags"
        )
    if sampled_error is not None and len(sampled_error) != shown:
        raise ParameterError(
            f"{shown} sampled values need as many errors, not {len(sampled_error)}"
        )
    ax.plot(lags, theory, color=colour, linewidth=1.4, label=label or None)
    if theory_error is not None:
        low, high = theory - 2 * theory_error, theory + 2 * theory_error
        ax.fill_between(lags, low, high, color=colour, alpha=0.25, linewidth=0)
    if sampled is not None:
        ax.errorbar(
            lags[:shown], sampled, None if sampled_error is None else 2 * sampled_error,
            linestyle="", marker="o", markersize=3.5, color=colour, markerfacecolor="white",
            markeredgewidth=0.9, elinewidth=0.9, capsize=1.5,
        )  # fmt: skip
    ax.set_xlabel("lag, in steps")
    ax.set_ylabel("covariance")
    return ax


def covariance_figure(
    found: TiedSteadyState,
    title: str,
    *,
    sampled: np.ndarray | None = None,
    sampled_error: np.ndarray | None = None,
) -> Figure:
    r"""Draw the covariances of all states, and the shapes of those of the preactivations.

    Preactivations differ in size by orders of magnitude; theirs are divided by their variances.

    Parameters
    ----------
    found
        The theory.
    title
        Of the figure.
    sampled, sampled_error
        :math:`E[s(t) s(t + \tau)]` of each state in simulated networks and its standard errors,
        shape (d, M) for the first M lags.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.mean_field.tied.steady_state import tied_steady_state
    >>> p = Parameters.of(vanilla, weight_std=0.5, input_std=1, input_variance=1)
    >>> figure = covariance_figure(tied_steady_state(vanilla, p, sites=1024), "driven")
    >>> [ax.get_title() for ax in figure.axes]
    ['states', 'preactivations']
    """
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, symbol in enumerate(found.cell.states):
        plot_covariances(
            found.lags, found.state_covariances[i], left, theory_error=found.state_errors[i],
            sampled=None if sampled is None else sampled[i],
            sampled_error=None if sampled_error is None else sampled_error[i],
            label=f"${symbol}$", colour=_COLOURS[i % len(_COLOURS)],
        )  # fmt: skip
    for k, preactivation in enumerate(found.cell.preactivations):
        q = found.preactivation_variances[k]
        size = q if q > 0 else 1.0
        plot_covariances(
            found.lags, found.preactivation_covariances[k] / size, right,
            theory_error=found.preactivation_errors[k] / size,
            label=f"{preactivation.name.replace('_', ' ')}, $q$ = {q:.3g}",
            colour=_COLOURS[k % len(_COLOURS)],
        )  # fmt: skip
    right.set_ylabel("covariance / variance")
    if sampled is not None:
        left.errorbar([], [], [], linestyle="", marker="o", markersize=3.5, color="0.3",
                      markerfacecolor="white", capsize=1.5,
                      label="networks, ± 2 standard errors")  # fmt: skip
    for ax, name in ((left, "states"), (right, "preactivations")):
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.set_title(name, fontsize="medium")
        ax.legend()
    figure.suptitle(title)
    return figure
