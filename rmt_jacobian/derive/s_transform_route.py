"""T-step moments by multiplying S-transforms: exact only where the J_t are free."""

from functools import cache

import sympy as sp

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, cell_named
from rmt_jacobian.counts import check_counts
from rmt_jacobian.derive.derivation import Derivation
from rmt_jacobian.derive.one_step import ONE_STEP_HYPOTHESES, one_step_moment
from rmt_jacobian.derive.paper import VARIANCE_NAME, moment_name
from rmt_jacobian.derive.quantities import Quantity, Steps, steps_symbol
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import boxtimes_power_moments

__all__ = ["s_transform_moment", "s_transform_variance"]


def _hypotheses(cell: Cell) -> tuple[str, ...]:
    gated = cell.state_derivatives[0][0] != 0
    return (
        *ONE_STEP_HYPOTHESES,
        "untied weights",
        "J_t of different steps free of each other"
        + (" (they are not: their gates commute, so this is an approximation)" if gated else ""),
    )


@named_arguments
def s_transform_moment(cell: Cell | str, k: int, *, progress: bool = False) -> Derivation:
    r"""Derive the k-th moment of the T-step product from S-transforms, with T a symbol.

    .. math:: S_{J J^T}(z) = S_{J_1 J_1^T}(z)^T

    Parameters
    ----------
    cell
        A cell with one state.
    k
        Order of the moment, at least 1.
    progress
        Whether to show a progress bar on standard error while the moments of one step are derived.

    Raises
    ------
    ParameterError
        If k is below 1.
    HypothesisError
        If the cell has several states.

    Notes
    -----
    Assumes that the J_t are free of each other.  They are for the vanilla cell.  For gated cells
    the diagonal gates of successive steps commute, and this route is an approximation, exact only
    at T = 1; see :func:`~rmt_jacobian.derive.exact_second_moment`.

    References
    ----------
    :cite:t:`Voiculescu1987`; :cite:t:`Pennington2017`, section 2.3.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> s_transform_moment(vanilla, 1).text()
    '(E_B2*sigma_w**2)**T'
    """
    cell = cell_named(cell)
    if len(cell.states) != 1:
        raise HypothesisError(
            f"cell {cell.name!r} has {len(cell.states)} states: the blocks of successive Jacobians "
            "are not free of each other; for numbers use rmt_jacobian.moments"
        )
    check_counts({"the order of a moment": k})
    for order in range(1, k + 1):
        one_step_moment(cell, order, progress=progress)
    return _s_transform_moment(cell, k)


@cache
def _s_transform_moment(cell: Cell, k: int) -> Derivation:
    one_step = [one_step_moment(cell, order) for order in range(1, k + 1)]
    names = sp.symbols(f"m_1:{k + 1}", positive=True)
    powered = boxtimes_power_moments(names, steps_symbol)[-1]
    values = {name: moment.expression for name, moment in zip(names, one_step, strict=True)}
    symbols: dict[sp.Symbol, Quantity] = {steps_symbol: Steps()}
    for moment in one_step:
        symbols.update(moment.symbols)
    return Derivation(
        cell,
        f"moment {k} of J J^T over T steps, S-transform route",
        _gathered(powered, names).subs(values),
        symbols,
        _hypotheses(cell),
        moment_name(k),
    )


@named_arguments
@cache
def s_transform_variance(cell: Cell | str) -> Derivation:
    r"""Derive the variance of J J^T over T steps from S-transforms.

    .. math:: m_2 - m_1^2 = \chi_1^{2T} \, T v_1 / \chi_1^2

    with v_1 the variance of one step.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> variance = s_transform_variance(minimalrnn)
    >>> round(variance.evaluate(Parameters.of(minimalrnn), weights="gaussian", steps=20), 4)
    65.4069
    """
    cell = cell_named(cell)
    square, mean = s_transform_moment(cell, 2), s_transform_moment(cell, 1)
    names = m_1, m_2 = sp.symbols("m_1:3", positive=True)
    first, second = boxtimes_power_moments(names, steps_symbol)
    values = {m_1: one_step_moment(cell, 1).expression, m_2: one_step_moment(cell, 2).expression}
    return Derivation(
        cell,
        "variance of the spectrum of J J^T over T steps, S-transform route",
        _gathered(second - first**2, names).subs(values),
        {**mean.symbols, **square.symbols},
        square.hypotheses,
        VARIANCE_NAME,
    )


def _gathered(expression: sp.Expr, moments: tuple[sp.Symbol, ...]) -> sp.Expr:
    """Write the common power of m_1 in front of a polynomial in the other moments."""
    return sp.factor(sp.powsimp(sp.expand(expression), force=True))  # pyright: ignore
