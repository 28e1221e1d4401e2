"""One step of the diagonal-valued recursion: how the moments of M = J J^T become those after it.

The unknowns are m_2 = tau(M^2), q_j = E[d^2 h^j] and p_j = m_1 E[d h^j], all of second degree in
M, where d_i = M_ii stands at the same site as the state h.
"""

from collections.abc import Mapping
from typing import Any

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.derive.history import History, history_trace
from rmt_jacobian.derive.jacobian import jacobian_polynomial, weight_cumulants
from rmt_jacobian.derive.quantities import AverageBook, Quantity, Shorthand, Steps, steps_symbol
from rmt_jacobian.derive.site_letters import SiteLetters
from rmt_jacobian.freeprob import Diagonal, Word, adjoint as adjoint_of, mixed_moment, multiply
from rmt_jacobian.mean_field.averages.one_site import single_site

__all__ = [
    "MomentStep",
    "growth_rate",
    "is_moment_variable",
    "moment_variable",
    "second_moment",
]

second_moment = sp.Symbol("m_2", real=True)
growth_rate = sp.Symbol("chi_1", positive=True)

# Dummies, so that a cell may use any name for its own variables.
_d, _m1 = sp.Dummy("d", real=True), sp.Dummy("m_1", real=True)


class MomentStep:
    """One step of the recursion: letters, averages and the map of d, for one cell."""

    def __init__(self, cell: Cell) -> None:
        self.h, self.x, self.e = single_site(cell)
        self.cell = cell
        self._joint_moments: dict[int, sp.Dummy] = {}
        J = jacobian_polynomial(cell)
        self.words_after_one_step = multiply(J.words, [(History(),)], adjoint_of(J.words))
        self.site_letters = SiteLetters(cell, dict(J.letters))
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
        """What every symbol met so far stands for."""
        growth = Shorthand(self.growth, "growth rate of gradients", r"\chi_1")
        return {
            **self.fresh.quantities,
            **self.weight_symbols,
            growth_rate: growth,
            steps_symbol: Steps(),
        }

    def next(self, variable: sp.Symbol) -> Any:
        """Return the variable one step later, linear in the variables."""
        if variable == second_moment:
            return self._next_m2()
        kind, power = _parse(variable)
        diagonal = self._next_diagonal()
        state = self.site_letters.update**power
        if kind == "q":
            return self._bilinear(diagonal**2 * state)
        return sp.expand(growth_rate * self._bilinear(diagonal * state * _m1))

    def coefficient(self, row: Any, column: sp.Symbol) -> Any:
        """Return the coefficient of a variable, with powers of chi_1 recognised."""
        entry = sp.expand(row).coeff(column)
        for known in (self.growth**2, growth_rate * self.growth):
            if sp.expand(entry - known) == 0:
                return growth_rate**2
        return sp.factor(entry)

    def variables_of(self, row: Any) -> list[sp.Symbol]:
        """Return the unknowns that a row reads."""
        return [symbol for symbol in row.free_symbols if is_moment_variable(symbol)]

    def at_identity(self, variable: sp.Symbol) -> Any:
        """Return the variable of M = 1, where m_1 = m_2 = d = 1."""
        return (
            sp.S.One
            if variable == second_moment
            else self._site_average(self.h ** _parse(variable)[1])
        )

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

    def _next_m2(self) -> Any:
        trace = history_trace(
            self._single_history_average,
            lambda value: self.site_letters.split(value).has(self.h),
            diagonal=_d,
            mean=_m1,
            second_moment=second_moment,
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
                total += self._history_average(coefficient, in_h, self._joint_moment(in_h))
            else:
                total += self._site_average(coefficient * self.h**in_h)
        return total

    def _joint_moment(self, power: int) -> sp.Dummy:
        """Return the symbol of E[d h^power]."""
        return self._joint_moments.setdefault(power, sp.Dummy(f"d_{power}", real=True))

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
                total += self._history_average(coefficient, in_h, moment_variable("q", in_h))
            elif (in_d, in_m1) == (1, 1):
                total += self._history_average(coefficient, in_h, moment_variable("p", in_h))
            else:  # m_1^2 is p_0, and the state is stationary
                total += self._site_average(coefficient * self.h**in_h) * moment_variable("p", 0)
        return sp.expand(total)

    def _to_variables(self, total: Any) -> Any:
        """Write m_1 E[d h^j] as p_j, and m_1^2 as p_0."""
        joint = {
            symbol: moment_variable("p", power) / _m1
            for power, symbol in self._joint_moments.items()
        }
        return sp.expand(sp.expand(total.subs(joint)).subs(_m1**2, moment_variable("p", 0)))

    def _site_average(self, value: Any) -> Any:
        return self.fresh(sp.expand(self.site_letters.split(value)))

    def _vanishes(self, powers: Mapping[sp.Symbol, int]) -> bool:
        if powers[self.x] % 2:
            return True
        return bool(powers[self.h] % 2) and self.odd_update


def moment_variable(kind: str, power: int) -> sp.Symbol:
    """Return the symbol of q_j = E[d^2 h^j] or p_j = m_1 E[d h^j]."""
    return sp.Symbol(f"{kind}_{power}", real=True)


def is_moment_variable(symbol: Any) -> bool:
    """Tell the unknowns of the recursion from its coefficients."""
    return symbol == second_moment or symbol.name[:2] in ("q_", "p_")


def _parse(variable: sp.Symbol) -> tuple[str, int]:
    kind, power = variable.name.split("_")
    return kind, int(power)
