r"""T-step moments with freeness over the diagonal matrices: exact for gated cells.

The gates of successive steps are diagonal and commute, so the J_t are not free over the scalars.
They are free with amalgamation over the diagonal matrices.  What has to be carried along with
m_2 are averages of d_i = (J J^T)_ii with the state of the same site,

    q_j = E[d^2 h^j]   and   p_j = m_1 E[d h^j],

which obey a linear recursion that closes after finitely many of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.derive.derivation import Derivation
from rmt_jacobian.derive.history import History, history_trace
from rmt_jacobian.derive.jacobian import jacobian_polynomial, weight_cumulants
from rmt_jacobian.derive.linear_recursion import solve_triangular_recursion
from rmt_jacobian.derive.one_step import ONE_STEP_HYPOTHESES
from rmt_jacobian.derive.quantities import AverageBook, Quantity, Shorthand, Steps, steps_symbol
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.freeprob import Diagonal, Word, mixed_moment, multiply
from rmt_jacobian.freeprob import adjoint as adjoint_of
from rmt_jacobian.mean_field import SiteLaw, site_law
from rmt_jacobian.mean_field.averages import single_site

__all__ = [
    "MomentRecursion",
    "diagonal_valued_recursion",
    "exact_mean",
    "exact_second_moment",
    "exact_variance",
]

_d, _m1, _m2 = sp.symbols("d m_1 m_2", real=True)
_chi = sp.Symbol("chi_1", positive=True)


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
        """m_2 as an explicit function of T."""
        solution = solve_triangular_recursion(self.matrix, self.start, self.variables, steps_symbol)
        return sp.Add(*(sp.factor(term) for term in sp.Add.make_args(solution[_m2])))

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

        def number(expression: Any) -> float:
            return _derivation(self.cell, "coefficient", expression, self.symbols).evaluate(
                law, weights=weights, steps=steps
            )

        matrix = {key: number(entry) for key, entry in self.matrix.items()}
        values = {name: number(entry) for name, entry in self.start.items()}
        for _ in range(_checked_steps(steps)):
            values = {
                row: sum(
                    matrix[row, column] * values[column]
                    for column in self.variables
                    if (row, column) in matrix
                )
                for row in self.variables
            }
        return values[_m2]


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
    step = _Step(cell)
    rows: dict[sp.Symbol, Any] = {}
    waiting = [_m2]
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
        cell, variables, matrix, start, {**step.symbols, **dict(couplings.values())}
    )


def _coupling(row: sp.Symbol, column: sp.Symbol, entry: Any) -> tuple[sp.Symbol, Shorthand]:
    """Name an entry off the diagonal of the recursion."""
    names = [str(variable).replace("_", "") for variable in (row, column)]
    words = f"coefficient of {column} in {row} one step later"
    latex = rf"K_{{{sp.latex(row)} {sp.latex(column)}}}"
    return sp.Symbol("_".join(["K", *names]), real=True), Shorthand(entry, words, latex)


class _Step:
    """One step of the recursion: letters, averages and the map of d, for one cell."""

    def __init__(self, cell: Cell) -> None:
        self.h, self.x, self.e = single_site(cell)
        self.cell = cell
        J = jacobian_polynomial(cell)
        self.words_after_one_step = multiply(J.words, [(History(),)], adjoint_of(J.words))
        self.site_letters = _SiteLetters(cell, dict(J.letters))
        self.fresh = AverageBook(
            {**self.site_letters.meanings, self.x: self.x, self.h: self.h},
            independent=(frozenset([self.h]), frozenset([self.x])),
            vanishes=self._vanishes,
        )
        self.cumulants, self.weight_symbols = weight_cumulants(cell, 2)
        self.odd_update = (
            sp.expand(cell.updates[0] + cell.updates[0].subs({self.h: -self.h, self.x: -self.x}))
            == 0
        )
        self.growth = self._site_average(self._next_diagonal().subs(_d, 1).subs(_m1, 1))

    @property
    def symbols(self) -> dict[sp.Symbol, Quantity]:
        growth = Shorthand(self.growth, "growth rate of gradients", r"\chi_1")
        return {
            **self.fresh.quantities,
            **self.weight_symbols,
            _chi: growth,
            steps_symbol: Steps(),
        }

    def next(self, variable: sp.Symbol) -> Any:
        """Return the variable one step later, linear in the variables."""
        if variable == _m2:
            return self._next_second_moment()
        kind, power = _parse(variable)
        diagonal = self._next_diagonal()
        state = self.site_letters.update**power
        if kind == "q":
            return self._bilinear(diagonal**2 * state)
        return sp.expand(_chi * self._bilinear(diagonal * state * _m1))

    def coefficient(self, row: Any, column: sp.Symbol) -> Any:
        """Return the coefficient of a variable, with powers of chi_1 recognised."""
        entry = sp.expand(row).coeff(column)
        if any(sp.expand(entry - known) == 0 for known in (self.growth**2, _chi * self.growth)):
            return _chi**2
        return sp.factor(entry)

    def variables_of(self, row: Any) -> list[sp.Symbol]:
        return [symbol for symbol in row.free_symbols if _is_variable(symbol)]

    def at_identity(self, variable: sp.Symbol) -> Any:
        """Return the variable of M = 1, where m_1 = m_2 = d = 1."""
        return sp.S.One if variable == _m2 else self._site_average(self.h ** _parse(variable)[1])

    def _next_diagonal(self) -> Any:
        """Return d' as a polynomial in letters, d and m_1: the part of J M J^T on the diagonal."""
        probe = sp.Symbol("probe")

        def trace(word: Any) -> Any:
            value, histories = sp.S.One, 0
            for letter in word:
                histories += isinstance(letter, History)
                value *= letter.value if isinstance(letter, Diagonal) else sp.S.One
            if value.has(probe):
                return value * _d**histories
            return _m1**histories if value == 1 else self._site_average(value)

        total = self._trace_of(multiply([(Diagonal(probe),)], self.words_after_one_step), trace)
        return self.site_letters.split(sp.expand(total / probe))

    def _next_second_moment(self) -> Any:
        trace = history_trace(
            self._single_history_average,
            lambda value: self.site_letters.split(value).has(self.h),
            diagonal=_d,
            mean=_m1,
            second_moment=_m2,
            square_of_diagonal=lambda value: self._bilinear(self.site_letters.split(value) * _d**2),
        )
        once = self.words_after_one_step
        return self._to_variables(self._trace_of(multiply(once, once), trace))

    def _trace_of(self, polynomial: Mapping[Word, sp.Expr], trace: Any) -> Any:
        return sp.Add(
            *(
                factor * mixed_moment(word, self.cumulants, trace)
                for word, factor in polynomial.items()
            )
        )

    def _single_history_average(self, value: Any) -> Any:
        """Average of D, or of D d, as a polynomial in named averages and E[d h^j]."""
        terms = sp.Poly(self.site_letters.split(value), _d, self.h)
        total = sp.S.Zero
        for (in_d, in_h), coefficient in terms.terms():
            if in_d:
                total += self._history_average(coefficient, in_h, sp.Symbol(f"d_{in_h}"))
            else:
                total += self._site_average(coefficient * self.h**in_h)
        return total

    def _history_average(self, coefficient: Any, power: int, moment: sp.Symbol) -> Any:
        """Average over fresh variables, times a joint moment of d with h^power."""
        if power % 2 and self.odd_update:
            return sp.S.Zero
        return self._site_average(coefficient) * moment

    def _bilinear(self, expression: Any) -> Any:
        """Average of a polynomial of degree two in (d, m_1), in the variables q_j and p_j."""
        polynomial = sp.Poly(sp.expand(self.site_letters.split(expression)), _d, _m1, self.h)
        total = sp.S.Zero
        for (in_d, in_m1, in_h), coefficient in polynomial.terms():
            if (in_d, in_m1) == (2, 0):
                total += self._history_average(coefficient, in_h, _variable("q", in_h))
            elif (in_d, in_m1) == (1, 1):
                total += self._history_average(coefficient, in_h, _variable("p", in_h))
            else:  # m_1^2 is p_0, and the state is stationary
                total += self._site_average(coefficient * self.h**in_h) * _variable("p", 0)
        return sp.expand(total)

    def _to_variables(self, total: Any) -> Any:
        """Write m_1 E[d h^j] as p_j, and m_1^2 as p_0."""
        joint = {
            symbol: _variable("p", int(symbol.name[2:])) / _m1
            for symbol in total.free_symbols
            if symbol.name.startswith("d_")
        }
        return sp.expand(sp.expand(total.subs(joint)).subs(_m1**2, _variable("p", 0)))

    def _site_average(self, value: Any) -> Any:
        return self.fresh(sp.expand(self.site_letters.split(value)))

    def _vanishes(self, powers: Mapping[sp.Symbol, int]) -> bool:
        if powers[self.x] % 2:
            return True
        return bool(powers[self.h] % 2) and self.odd_update


class _SiteLetters:
    """Splits the diagonals and the update into letters that read e alone, times h and x."""

    def __init__(self, cell: Cell, letters: Mapping[sp.Symbol, sp.Expr]) -> None:
        self.h, self.x, self.e = single_site(cell)
        self.meanings: dict[sp.Symbol, sp.Expr] = {}
        self.diagonals = {
            letter: self._by_letters(expression, letter.name)
            for letter, expression in letters.items()
        }
        self.update = self._by_letters(cell.updates[0], "F")

    def split(self, expression: Any) -> Any:
        """Return an expression in letters and site variables as a polynomial in letters, h, x."""
        return sp.sympify(expression, strict=True).subs(self.diagonals)

    def _by_letters(self, expression: Any, name: str) -> Any:
        try:
            polynomial = sp.Poly(expression, self.h, self.x)
        except sp.PolynomialError as error:
            raise HypothesisError(
                f"{expression} is not a polynomial in {self.h} and {self.x}"
            ) from error
        gate, rest = sp.sympify(expression, strict=True).as_independent(self.h, self.x, as_Add=False)
        if not rest.has(self.e):
            return self._letter(gate, name, expression) * rest
        return sp.Add(
            *(
                self._letter(sp.factor(value), name, expression) * self.h**a * self.x**b
                for (a, b), value in polynomial.terms()
            )
        )

    def _letter(self, gate: Any, name: str, whole: Any) -> Any:
        """Return the letter of a function of e, a new one if none has this meaning yet."""
        if not gate.has(self.e):
            return gate
        for letter, meaning in self.meanings.items():
            if sp.expand(meaning - gate) == 0:
                return letter
            if sp.expand(meaning + gate) == 0:
                return -letter
        if gate != whole and name == "B":
            name = "G"  # B = G(e) times a function of state and input
        taken = {letter.name for letter in self.meanings}
        fresh = next(n for n in (name, *(f"{name}{k}" for k in range(1, 99))) if n not in taken)
        letter = sp.Symbol(fresh, real=True)
        self.meanings[letter] = gate
        return letter


def _variable(kind: str, power: int) -> sp.Symbol:
    return sp.Symbol(f"{kind}_{power}", real=True)


def _is_variable(symbol: Any) -> bool:
    return symbol == _m2 or symbol.name[:2] in ("q_", "p_")


def _parse(variable: sp.Symbol) -> tuple[str, int]:
    kind, power = variable.name.split("_")
    return kind, int(power)


def _triangular_order(rows: Mapping[sp.Symbol, Any]) -> tuple[sp.Symbol, ...]:
    """Return the variables so that each reads only itself and earlier ones."""
    order: list[sp.Symbol] = []
    while len(order) < len(rows):
        ready = [
            variable
            for variable, row in rows.items()
            if variable not in order
            and all(s in (*order, variable) for s in row.free_symbols if _is_variable(s))
        ]
        if not ready:
            raise HypothesisError("the recursion is not triangular: no closed form in T")
        order.append(min(ready, key=str))
    return tuple(order)


def _checked_steps(steps: int) -> int:
    if steps < 1:
        raise ParameterError(f"steps must be a whole number above 0, not {steps}")
    return steps


def _derivation(
    cell: Cell, quantity: str, expression: Any, symbols: Mapping[sp.Symbol, Quantity]
) -> Derivation:
    hypotheses = (*ONE_STEP_HYPOTHESES, "untied weights and biases")
    return Derivation(cell, quantity, sp.sympify(expression, strict=True), symbols, hypotheses)


@cache
def exact_mean(cell: Cell) -> Derivation:
    r"""Derive m_1 over T steps, :math:`\chi_1^T`.

    References
    ----------
    :cite:t:`Chen2018`, below eq. (11).
    """
    symbols = diagonal_valued_recursion(cell).symbols
    return _derivation(cell, "mean of J J^T over T steps", _chi**steps_symbol, symbols)


@cache
def exact_second_moment(cell: Cell) -> Derivation:
    """Derive m_2 over T steps in closed form, by the diagonal-valued route.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> parameters = Parameters.of(minimalrnn)
    >>> round(exact_second_moment(minimalrnn).evaluate(parameters, steps=20), 6)
    77.705218
    """
    recursion = diagonal_valued_recursion(cell)
    return _derivation(
        cell, "moment 2 of J J^T over T steps, diagonal-valued route", recursion.closed_form,
        recursion.symbols,
    )  # fmt: skip


@cache
def exact_variance(cell: Cell) -> Derivation:
    """Derive m_2 - m_1^2 over T steps in closed form, by the diagonal-valued route."""
    recursion = diagonal_valued_recursion(cell)
    return _derivation(
        cell,
        "variance of the spectrum of J J^T over T steps, diagonal-valued route",
        recursion.closed_form - _chi ** (2 * steps_symbol),
        recursion.symbols,
    )
