"""A derived expression that knows what its symbols mean and can be turned into a number."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import sympy as sp

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, cell_and_parameters
from rmt_jacobian.derive.paper import paper_latex
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
from rmt_jacobian.derive.typeset import Typesetter
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.freeprob import s_coefficients_of_weights
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
_ENSEMBLES = {
    "gaussian": "Gaussian W, s_k = (-1)^k",
    "orthogonal": "orthogonal W, s_k = 0",
}


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
    name
        The left side of the equation, as LaTeX.
    weights
        The ensemble whose coefficients s_k are in the expression; None if they are symbols.
    fresh_biases
        Whether it takes biases that are drawn anew at every step, where the cell has a memory.

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
    name: str = ""
    weights: str | None = None
    fresh_biases: bool = False

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

    def latex(
        self,
        *,
        weights: str | None = None,
        steps: int | None = None,
        form: Literal["paper", "align", "formula"] = "paper",
    ) -> str:
        r"""Return the expression as LaTeX, averages in angle brackets.

        Parameters
        ----------
        weights
            ``"gaussian"`` or ``"orthogonal"``: their values in place of s_1, s_2, ...
        steps
            A number in place of T.
        form
            ``"paper"``: the equation and its abbreviations in an ``align`` environment, broken over
            lines, and a list of what every symbol means; ``"align"``: without the list;
            ``"formula"``: the bare right side on one line, for a notebook.

        Raises
        ------
        ParameterError
            If the form or the ensemble is unknown, or steps is below 1.

        Examples
        --------
        >>> from rmt_jacobian.derive import one_step_variance
        >>> print(one_step_variance("vanilla").latex(weights="orthogonal", form="formula"))
        - {\langle B^{2} \rangle}^{2} \sigma_w^{4} + \langle B^{4} \rangle \sigma_w^{4}
        """
        if form not in ("paper", "align", "formula"):
            raise ParameterError(f'the form must be "paper", "align" or "formula", not {form!r}')
        shown = self if steps is None else self.at_steps(steps)
        shown = shown if weights is None else shown.with_weights(weights)
        if form != "formula":
            return paper_latex(shown, legend=form == "paper")
        names = {symbol: quantity.latex for symbol, quantity in shown.symbols.items()}
        return Typesetter(names).doprint(shown.expression)

    def meanings(self) -> dict[str, str]:
        """Return what each symbol stands for, by name."""
        return {str(symbol): quantity.meaning for symbol, quantity in self.symbols.items()}

    @named_arguments
    def evaluate(
        self,
        given: Parameters | Mapping[str, float] | StationaryLaw | SiteAverages,
        *,
        weights: str | None = None,
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
            ``"gaussian"``, the default, or ``"orthogonal"``.
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
            If the ensemble is unknown or not that of the expression, T is missing, or the sites
            are those of another cell.
        ConvergenceError
            If the mean field has no solution.
        HypothesisError
            If the expression takes fresh biases, and those given are frozen.
        """
        weights = self._one_ensemble(weights)
        if isinstance(given, StationaryLaw):
            self.cell.refuse_another(given.cell, "the stationary law")
            state = untied_law_of(given, what="a derivation").state
        elif isinstance(given, Parameters | Mapping):
            state = untied_state(*cell_and_parameters(self.cell, given))
        else:
            self.cell.refuse_another(given.cell, "the law of the sites")
            return self._evaluated(given, weights, steps)
        if self.fresh_biases and self.cell.memory and state.parameters.has_frozen_bias:
            raise HypothesisError(
                f"{self.quantity} is known for biases drawn anew at every step: take them so "
                "(biases='redrawn', --biases redrawn), or for numbers with frozen ones "
                "rmt_jacobian.moments(cell, parameters, weights=..., steps=T)"
            )
        return self._evaluated(state.site_law or state.sites, weights, steps)

    def _evaluated(self, law: SiteAverages, weights: str, steps: int | None) -> float:
        law = LetterValues(law) if isinstance(law, Sites) else law
        values = {
            symbol: sp.Float(self._number(symbol, quantity, law, weights, steps), _DIGITS)
            for symbol, quantity in self.symbols.items()
            if not isinstance(quantity, Shorthand)
        }
        expression = self._written_out
        number = expression.xreplace(values).evalf(_DIGITS)
        if not number.is_finite:  # one value after the other takes care of a factor 0
            number = expression.subs(values).evalf(_DIGITS)
        if not number.is_finite:
            raise ConvergenceError(
                f"{self.quantity} is 0/0 here, because two rates of its closed form coincide; "
                "iterate it with diagonal_valued_recursion(cell).evaluate(...)"
            )
        return float(number)

    @cached_property
    def _written_out(self) -> sp.Expr:
        """The expression without shorthands; kept, as this takes longer than a number does."""
        expression, short = self.expression, self.shorthands()
        while not expression.free_symbols.isdisjoint(short):
            expression = expression.subs(short)
        return expression

    def at_steps(self, steps: int) -> "Derivation":
        """Return the expression for a given number of steps in place of the symbol T."""
        steps = checked_steps(steps)
        words = self.quantity.replace("over T steps", f"over {steps} step{'s' * (steps > 1)}")
        known = self._with_values({steps_symbol: sp.Integer(steps)})
        symbols = {
            symbol: replace(
                quantity,
                words=quantity.words.replace("T - 1", str(steps - 1)),
                latex=quantity.latex.replace("_T", f"_{{{steps}}}"),
            )
            if isinstance(quantity, Shorthand)
            else quantity
            for symbol, quantity in known.symbols.items()
        }
        return replace(known, quantity=words, symbols=symbols)

    def with_weights(self, weights: str) -> "Derivation":
        """Return the expression with the s_1, s_2, ... of an ensemble in place of the symbols.

        Parameters
        ----------
        weights
            ``"gaussian"`` or ``"orthogonal"``.

        Raises
        ------
        ParameterError
            If the ensemble is unknown, or another one has been put in before.

        Examples
        --------
        >>> from rmt_jacobian.derive import one_step_variance
        >>> one_step_variance("vanilla").with_weights("gaussian").text()
        'E_B4*sigma_w**4'
        """
        if self.weights is not None:
            self._one_ensemble(weights)
            return self
        orders = {
            symbol: quantity.order
            for symbol, quantity in self.symbols.items()
            if isinstance(quantity, SCoefficient)
        }
        known = s_coefficients_of_weights(weights, max(orders.values(), default=1))
        values = {symbol: known[order - 1] for symbol, order in orders.items()}
        return replace(
            self._with_values(values),
            hypotheses=(*self.hypotheses, _ENSEMBLES[weights]),
            weights=weights,
        )

    def _with_values(self, values: Mapping[sp.Symbol, Any]) -> "Derivation":
        symbols = {
            symbol: quantity.subs(values) if isinstance(quantity, Shorthand) else quantity
            for symbol, quantity in self.symbols.items()
        }
        return replace(self, expression=self.expression.subs(values), symbols=symbols)

    def _one_ensemble(self, weights: str | None) -> str:
        """Return the ensemble that is asked for, or that of the expression."""
        if self.weights is not None and weights not in (None, self.weights):
            raise ParameterError(
                f"the expression is that of {self.weights} W: derive it again for {weights} W"
            )
        return weights or self.weights or "gaussian"

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
