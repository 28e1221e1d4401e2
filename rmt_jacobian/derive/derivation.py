"""A derived expression that knows what its symbols mean and can be turned into a number."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, cell_and_parameters
from rmt_jacobian.derive.quantities import (
    LetterValues,
    Quantity,
    SCoefficient,
    Shorthand,
    SiteAverage,
    SiteAverages,
    Steps,
    WeightStd,
    checked_steps,
    steps_symbol,
)
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.mean_field import (
    Sites,
    StationaryLaw,
    untied_law_of,
    untied_state,
)

__all__ = ["Derivation"]

# Closed forms in T cancel where two of their rates are close, e.g. near chi_1 = 1.  Averages enter
# as exact numbers, so extra digits in the arithmetic undo the cancellation.
_DIGITS = 60


@dataclass(frozen=True)
class Derivation:
    """An exact expression for a moment of J J^T at large width.

    Attributes
    ----------
    cell
        The cell whose Jacobian it is about.
    quantity
        What the expression is, in words.
    expression
        A sympy expression; every symbol of it is a key of ``symbols``.
    symbols
        What each symbol stands for.
    hypotheses
        Under which the expression holds.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.derive import one_step_moment
    >>> mean = one_step_moment(vanilla, 1)
    >>> mean.text()
    'E_B2*sigma_w**2'
    >>> round(mean.evaluate(Parameters.of(vanilla), weights="orthogonal"), 6)
    0.99999
    """

    cell: Cell
    quantity: str
    expression: sp.Expr
    symbols: Mapping[sp.Symbol, Quantity]
    hypotheses: tuple[str, ...]

    def __post_init__(self) -> None:
        used: set[sp.Basic] = set()
        waiting: list[sp.Basic] = [*self.expression.free_symbols]
        while waiting:
            symbol = waiting.pop()
            if symbol not in self.symbols:
                raise HypothesisError(f"symbol {symbol} of {self.quantity} has no meaning")
            used.add(symbol)
            quantity = self.symbols[symbol]
            if isinstance(quantity, Shorthand):
                waiting += quantity.expression.free_symbols - used
        kept = {symbol: self.symbols[symbol] for symbol in self.symbols if symbol in used}
        object.__setattr__(self, "symbols", kept)

    def text(self) -> str:
        """Return the expression as plain text that sympy reads back."""
        return str(self.expression)

    def latex(self) -> str:
        """Return the expression as LaTeX, averages in angle brackets."""
        names = {symbol: quantity.latex for symbol, quantity in self.symbols.items()}
        return sp.latex(self.expression, symbol_names=names)

    def meanings(self) -> dict[str, str]:
        """Return what each symbol stands for, by name."""
        return {str(symbol): quantity.meaning for symbol, quantity in self.symbols.items()}

    @named_arguments
    def evaluate(
        self,
        given: Parameters | Mapping[str, float] | StationaryLaw | SiteAverages,
        *,
        weights: str = "gaussian",
        steps: int | None = None,
    ) -> float:
        """Turn the expression into a number.

        Parameters
        ----------
        given
            Hyperparameters, or some of them by name, for which the untied mean field is solved
            first; or its solution, from :func:`~rmt_jacobian.mean_field.stationary`; or a
            :class:`~rmt_jacobian.mean_field.SiteLaw`, or the
            :class:`~rmt_jacobian.mean_field.Sites` of any state or sampled network.
        weights
            ``"gaussian"`` or ``"orthogonal"``.
        steps
            T, where the expression has it.

        Notes
        -----
        Averages are exact to quadrature where the moments of one state close.  For other cells they
        run over the sites of :func:`~rmt_jacobian.mean_field.untied_state`, and are as good as
        these are: about four digits.

        Raises
        ------
        ParameterError
            If the ensemble is unknown, T is missing, or the sites are those of another cell.
        ConvergenceError
            If the mean field has no solution.
        """
        if isinstance(given, StationaryLaw):
            self.cell.refuse_another(given.cell, "the stationary law")
            state = untied_law_of(given, what="a derivation").state
        elif isinstance(given, Parameters | Mapping):
            state = untied_state(*cell_and_parameters(self.cell, given))
        else:
            self.cell.refuse_another(given.cell, "the law of the sites")
            return self._evaluated(given, weights, steps)
        return self._evaluated(state.site_law or state.sites, weights, steps)

    def _evaluated(self, law: SiteAverages, weights: str, steps: int | None) -> float:
        law = LetterValues(law) if isinstance(law, Sites) else law
        values = {
            symbol: sp.Float(self._number(symbol, quantity, law, weights, steps), _DIGITS)
            for symbol, quantity in self.symbols.items()
            if not isinstance(quantity, Shorthand)
        }
        expression = self.expression
        while not expression.free_symbols <= values.keys():
            expression = expression.subs(self.shorthands())
        number = expression.xreplace(values).evalf(_DIGITS)
        if not number.is_finite:  # one value after the other takes care of a factor 0
            number = expression.subs(values).evalf(_DIGITS)
        if not number.is_finite:
            raise ConvergenceError(
                f"{self.quantity} is 0/0 here, because two rates of its closed form coincide; "
                "iterate it with diagonal_valued_recursion(cell).evaluate(...)"
            )
        return float(number)

    def at_steps(self, steps: int) -> "Derivation":
        """Return the expression for a given number of steps in place of the symbol T."""
        steps = checked_steps(steps)
        symbols = {
            symbol: replace(quantity, expression=quantity.expression.subs(steps_symbol, steps))
            if isinstance(quantity, Shorthand)
            else quantity
            for symbol, quantity in self.symbols.items()
        }
        return replace(
            self,
            quantity=self.quantity.replace("over T steps", f"over {steps} steps"),
            expression=self.expression.subs(steps_symbol, steps),
            symbols=symbols,
        )

    def shorthands(self) -> dict[sp.Symbol, sp.Expr]:
        """Return the symbols that stand for expressions in other symbols."""
        return {
            symbol: quantity.expression
            for symbol, quantity in self.symbols.items()
            if isinstance(quantity, Shorthand)
        }

    def _number(
        self, symbol: sp.Symbol, quantity: Quantity, law: SiteAverages, weights: str,
        steps: int | None,
    ) -> float:  # fmt: skip
        match quantity:
            case SiteAverage() | WeightStd():
                return quantity.evaluate(law)
            case SCoefficient():
                return quantity.evaluate(weights)
            case Steps():
                return checked_steps(steps)
            case _:
                raise HypothesisError(f"no number for symbol {symbol}: {quantity.meaning}")
