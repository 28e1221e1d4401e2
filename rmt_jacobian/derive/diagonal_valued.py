r"""T-step moments with freeness over the diagonal matrices: exact for gated cells.

The gates of successive steps are diagonal and commute, so the J_t are not free over the scalars.
They are free with amalgamation over the diagonal matrices.  What has to be carried along with
m_2 are averages of d_i = (J J^T)_ii with the state of the same site,

    q_j = E[d^2 h^j]   and   p_j = m_1 E[d h^j],

which obey a linear recursion that closes after finitely many of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import sympy as sp

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, cell_named
from rmt_jacobian.derive.derivation import Derivation
from rmt_jacobian.derive.linear_recursion import solve_triangular_recursion
from rmt_jacobian.derive.moment_step import (
    MomentStep,
    growth_rate,
    is_moment_variable,
    second_moment,
)
from rmt_jacobian.derive.one_step import ONE_STEP_HYPOTHESES
from rmt_jacobian.derive.paper import VARIANCE_NAME, moment_name
from rmt_jacobian.derive.quantities import Quantity, Shorthand, checked_steps, steps_symbol
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field import SiteLaw, site_law

__all__ = [
    "MomentRecursion",
    "diagonal_valued_recursion",
    "exact_mean",
    "exact_second_moment",
    "exact_variance",
]


@dataclass(frozen=True)
class MomentRecursion:
    """The linear recursion of (m_2, q_j, p_j) over steps.

    Attributes
    ----------
    cell
        The cell.
    variables
        In an order in which each reads only itself and earlier ones; ``m_2`` comes last.
    matrix
        x(t+1)[row] = sum of matrix[row, column] x(t)[column].
    start
        The values at t = 0, where the product is the identity.
    symbols
        What the symbols in ``matrix`` and ``start`` stand for.
    """

    cell: Cell
    variables: tuple[sp.Symbol, ...]
    matrix: Mapping[tuple[sp.Symbol, sp.Symbol], Any]
    start: Mapping[sp.Symbol, Any]
    symbols: Mapping[sp.Symbol, Quantity]

    @cached_property
    def closed_form(self) -> Any:
        r"""m_2 as an explicit function of T, without a pole at :math:`\chi_1 = 1`."""
        solution = solve_triangular_recursion(self.matrix, self.start, self.variables, steps_symbol)
        return _without_critical_pole(
            [sp.factor(term) for term in sp.Add.make_args(solution[second_moment])]
        )

    def evaluate(
        self, given: Parameters | SiteLaw, *, weights: str = "gaussian", steps: int
    ) -> float:
        """Iterate the recursion; sound also where the closed form has a removable 0/0.

        Parameters
        ----------
        given
            Hyperparameters, or the solved mean field.
        weights
            ``"gaussian"`` or ``"orthogonal"``.
        steps
            T >= 1.
        """
        law = given if isinstance(given, SiteLaw) else site_law(self.cell, given)
        self.cell.refuse_another(law.cell, "the site law")

        def number(expression: Any) -> float:
            return _derivation(self.cell, "coefficient", expression, self.symbols).evaluate(
                law, weights=weights, steps=steps
            )

        matrix = {key: number(entry) for key, entry in self.matrix.items()}
        values = {name: number(entry) for name, entry in self.start.items()}
        for _ in range(checked_steps(steps)):
            values = {
                row: sum(
                    matrix[row, column] * values[column]
                    for column in self.variables
                    if (row, column) in matrix
                )
                for row in self.variables
            }
        return values[second_moment]


@cache
def diagonal_valued_recursion(cell: Cell) -> MomentRecursion:
    r"""Derive the recursion of the second moment over steps.

    .. math::
        J' = (A + B W) J, \qquad M = J J^T, \qquad d = \mathrm{diag}(M), \qquad
        d' = A^2 d + \sigma_w^2 B^2 m_1

    Parameters
    ----------
    cell
        A cell with one state h and one preactivation with source h, whose update is
        a(e) h + c(e, x).

    Raises
    ------
    HypothesisError
        If the cell is not of that form.

    Notes
    -----
    Assumes fresh W, V and b at every step, N -> infinity, bi-invariant W and independent inputs.

    References
    ----------
    :cite:t:`MingoSpeicher2017`, chapter 9 (operator-valued freeness); the recursion is ours.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> diagonal_valued_recursion(vanilla).variables
    (p_0, m_2)
    """
    step = MomentStep(cell)
    rows: dict[sp.Symbol, Any] = {}
    waiting = [second_moment]
    while waiting:
        variable = waiting.pop()
        if variable not in rows:
            rows[variable] = step.next(variable)
            waiting += [other for other in step.variables_of(rows[variable])]
    variables = _triangular_order(rows)
    matrix = {
        (row, column): entry
        for row in variables
        for column in variables
        if (entry := step.coefficient(rows[row], column)) != 0
    }
    couplings = {key: _coupling(*key, entry) for key, entry in matrix.items() if key[0] != key[1]}
    matrix |= {key: symbol for key, (symbol, _) in couplings.items()}
    start = {variable: step.at_identity(variable) for variable in variables}
    return MomentRecursion(
        cell,
        variables,
        matrix,
        start,
        {**step.symbols, **dict(couplings.values()), _growth_sum: _GROWTH_SUM},
    )


_growth_sum, _t = sp.Symbol("sum_chi_1", positive=True), sp.Symbol("t", integer=True)
_GROWTH_SUM = Shorthand(
    sp.Piecewise(
        (steps_symbol, sp.Eq(growth_rate, 1)),
        ((growth_rate**steps_symbol - 1) / (growth_rate - 1), True),
    ),
    "sum of chi_1^t over t = 0, ..., T - 1",
    r"\Sigma_T",
    written=sp.Sum(growth_rate**_t, (_t, 0, steps_symbol - 1)),  # pyright: ignore
)


def _without_critical_pole(terms: Sequence[Any]) -> Any:
    r"""Write what is divided by chi_1 - 1 with the sum of :math:`\chi_1^t` over the steps instead.

    Two rates of the recursion differ by a factor chi_1 and coincide at criticality; the difference
    quotient of their powers is that sum.
    """
    pole = growth_rate - 1
    critical = [term for term in terms if sp.denom(term).has(pole)]
    bases: dict[Any, sp.Dummy] = {}  # of powers with the exponent T

    def split(power: Any) -> Any:
        base, exponent = power.args
        symbol = bases.setdefault(base, sp.Dummy(positive=True))
        return symbol ** exponent.coeff(steps_symbol) * base ** exponent.subs(steps_symbol, 0)

    total = sp.Add(*critical).replace(lambda x: x.is_Pow and x.exp.has(steps_symbol), split)
    total = sp.together(total.subs(bases.get(growth_rate, 1), 1 + pole * _growth_sum))
    powers = {symbol: base**steps_symbol for base, symbol in bases.items()}
    written = (
        sp.factor(coefficient / sp.denom(total)).subs(powers) * _growth_sum**power
        for (power,), coefficient in sp.Poly(sp.numer(total), _growth_sum).terms()
    )
    return sp.Add(*(term for term in terms if term not in critical), *written)


def _coupling(row: sp.Symbol, column: sp.Symbol, entry: Any) -> tuple[sp.Symbol, Shorthand]:
    """Name an entry off the diagonal of the recursion."""
    names = [str(variable).replace("_", "") for variable in (row, column)]
    words = f"coefficient of {column} in {row} one step later"
    latex = rf"K_{{{sp.latex(row)} {sp.latex(column)}}}"
    return sp.Symbol("_".join(["K", *names]), real=True), Shorthand(entry, words, latex)


def _triangular_order(rows: Mapping[sp.Symbol, Any]) -> tuple[sp.Symbol, ...]:
    """Return the variables so that each reads only itself and earlier ones."""
    order: list[sp.Symbol] = []
    while len(order) < len(rows):
        ready = [
            variable
            for variable, row in rows.items()
            if variable not in order
            and all(s in (*order, variable) for s in row.free_symbols if is_moment_variable(s))
        ]
        if not ready:
            raise HypothesisError("the recursion is not triangular: no closed form in T")
        order.append(min(ready, key=str))
    return tuple(order)


def _derivation(
    cell: Cell, quantity: str, expression: Any, symbols: Mapping[sp.Symbol, Quantity],
    name: str = "",
) -> Derivation:  # fmt: skip
    hypotheses = (*ONE_STEP_HYPOTHESES, "untied weights and biases")
    exact = sp.sympify(expression, strict=True)
    return Derivation(cell, quantity, exact, symbols, hypotheses, name, fresh_biases=True)


@named_arguments
@cache
def exact_mean(cell: Cell | str) -> Derivation:
    r"""Derive m_1 over T steps, :math:`\chi_1^T`.

    References
    ----------
    :cite:t:`Chen2018`, below eq. (11).
    """
    cell = cell_named(cell)
    symbols = diagonal_valued_recursion(cell).symbols
    return _derivation(cell, "mean of J J^T over T steps", growth_rate**steps_symbol, symbols,
                       moment_name(1))  # fmt: skip


@named_arguments
@cache
def exact_second_moment(cell: Cell | str) -> Derivation:
    """Derive m_2 over T steps in closed form, by the diagonal-valued route.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> parameters = Parameters.of(minimalrnn)
    >>> round(exact_second_moment(minimalrnn).evaluate(parameters, steps=20), 6)
    77.705218
    """
    cell = cell_named(cell)
    recursion = diagonal_valued_recursion(cell)
    return _derivation(
        cell, "moment 2 of J J^T over T steps, diagonal-valued route", recursion.closed_form,
        recursion.symbols, moment_name(2),
    )  # fmt: skip


@named_arguments
@cache
def exact_variance(cell: Cell | str) -> Derivation:
    """Derive m_2 - m_1^2 over T steps in closed form, by the diagonal-valued route."""
    cell = cell_named(cell)
    recursion = diagonal_valued_recursion(cell)
    return _derivation(
        cell,
        "variance of the spectrum of J J^T over T steps, diagonal-valued route",
        recursion.closed_form - growth_rate ** (2 * steps_symbol),
        recursion.symbols,
        VARIANCE_NAME,
    )
