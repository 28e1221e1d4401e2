"""Letters that read the preactivation alone, so that averages over fresh variables factorise."""

from collections.abc import Mapping
from typing import Any

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.derive.quantities import unused_name
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.averages.one_site import single_site

__all__ = ["SiteLetters"]


class SiteLetters:
    """Splits the diagonals and the update into letters that read e alone, times h and x.

    Attributes
    ----------
    meanings
        Each new letter and the function of e that it stands for.
    diagonals
        Each diagonal letter of the Jacobian as a polynomial in the new letters, h and x.
    update
        The update of the state, likewise.
    """

    def __init__(self, cell: Cell, letters: Mapping[sp.Symbol, sp.Expr]) -> None:
        self.h, self.x, self.e = single_site(cell)
        self.meanings: dict[sp.Symbol, sp.Expr] = {}
        self.diagonal_names = {letter.name for letter in letters}
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
        gate, rest = sp.sympify(expression, strict=True).as_independent(
            self.h, self.x, as_Add=False
        )
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
        if gate != whole and name in self.diagonal_names:
            name = "G"  # B = G(e) times a function of state and input
        taken = (*self.meanings, self.h, self.x, self.e)
        letter = sp.Symbol(unused_name(name, taken), real=True)
        self.meanings[letter] = gate
        return letter
