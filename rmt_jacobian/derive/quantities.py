"""What the symbols of a derivation stand for, and how each becomes a number."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any, Protocol, TypeAlias

import sympy as sp

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.derive.typeset import Typesetter, symbol_latex
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field import Sites

__all__ = [
    "AverageBook",
    "LetterValues",
    "Quantity",
    "SCoefficient",
    "Shorthand",
    "SiteAverage",
    "SiteAverages",
    "Steps",
    "WeightStd",
    "checked_steps",
    "s_symbols",
    "steps_symbol",
    "unused_name",
    "weight_std_symbol",
]

steps_symbol = sp.Symbol("T", positive=True, integer=True)


class SiteAverages(Protocol):
    """A law of the variables of a site: :class:`.SiteLaw`, or :class:`.Sites` for any cell."""

    @property
    def cell(self) -> Cell:
        """Whose sites they are."""
        ...

    @property
    def parameters(self) -> Parameters:
        """The hyperparameters."""
        ...

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the cell's symbols."""
        ...


@dataclass(frozen=True)
class LetterValues:
    """Sites that remember the values of letters, of which many averages are products.

    Attributes
    ----------
    sites
        The sites.
    known
        The values of expressions met so far.
    """

    sites: Sites
    known: dict[Any, Any] = field(default_factory=dict)

    @property
    def cell(self) -> Cell:
        """Whose sites they are."""
        return self.sites.cell

    @property
    def parameters(self) -> Parameters:
        """The hyperparameters."""
        return self.sites.parameters

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the cell's symbols."""
        return self.sites.average(expression)

    def monomial(self, product: Any, letters: Mapping[sp.Symbol, sp.Expr]) -> float:
        """Return the average of a product of powers of letters."""
        total = self.sites.weights
        for letter, power in product.as_powers_dict().items():
            expression = letters.get(letter, letter)
            if expression not in self.known:
                self.known[expression] = self.sites.values(expression)
            total = total * self.known[expression] ** int(power)
        return float(array_namespace(total).sum(total))


class Quantity(Protocol):
    """What a symbol stands for."""

    @property
    def meaning(self) -> str:
        """The quantity in words."""
        ...

    @property
    def latex(self) -> str:
        """The symbol as it is typeset."""
        ...


@dataclass(frozen=True)
class SiteAverage:
    """The average over sites of a product of letters, each a function of the site variables."""

    product: Any
    letters: tuple[tuple[sp.Symbol, sp.Expr], ...]

    @property
    def meaning(self) -> str:
        """The quantity in words."""
        used = [
            f"{letter} = {expression}"
            for letter, expression in self.letters
            if self.product.has(letter) and letter != expression
        ]
        return ", ".join([f"average over sites of {self.product}", *used])

    @property
    def latex(self) -> str:
        """The symbol as it is typeset."""
        return rf"\langle {Typesetter().doprint(self.product)} \rangle"

    def evaluate(self, law: SiteAverages) -> float:
        """Return the average under a site law."""
        if isinstance(law, LetterValues):
            return law.monomial(self.product, dict(self.letters))
        # The letters are functions of other symbols, so one pass of substitution is enough.
        return law.average(self.product.subs(dict(self.letters), simultaneous=True))


@dataclass(frozen=True)
class WeightStd:
    """sigma_w of one preactivation."""

    preactivation: str
    latex: str

    @property
    def meaning(self) -> str:
        """The quantity in words."""
        return f"weight_std of preactivation {self.preactivation!r}"

    def evaluate(self, law: SiteAverages) -> float:
        """Return the hyperparameter."""
        return law.parameters[self.preactivation].weight_std


@dataclass(frozen=True)
class SCoefficient:
    """s_k of S(z) = sigma_w^-2 (1 + s_1 z + s_2 z^2 + ...), the S-transform of W W^T."""

    order: int

    @property
    def meaning(self) -> str:
        """The quantity in words."""
        return (
            f"coefficient of z^{self.order} in sigma_w^2 times the S-transform of W W^T "
            "(0 for orthogonal W, (-1)^k for Gaussian W)"
        )

    @property
    def latex(self) -> str:
        """The symbol as it is typeset."""
        return f"s_{{{self.order}}}"

    def evaluate(self, weights: str) -> float:
        """Return the coefficient of an ensemble."""
        return float(s_coefficients_of_weights(weights, self.order)[-1])


@dataclass(frozen=True)
class Steps:
    """T, the number of steps."""

    latex: str = "T"
    meaning: str = "number of steps in the product of Jacobians"


@dataclass(frozen=True)
class Shorthand:
    """A symbol for an expression in other symbols.

    Attributes
    ----------
    expression
        What it stands for.
    words
        What it is called.
    latex
        The symbol as it is typeset.
    written
        What stands for the expression where it is typeset, if that is another one.
    """

    expression: sp.Expr
    words: str
    latex: str
    written: sp.Expr | None = None

    @property
    def meaning(self) -> str:
        """The quantity in words."""
        return f"{self.words}, {self.expression}"

    def subs(self, values: Mapping[sp.Symbol, Any]) -> "Shorthand":
        """Return it with values in place of some symbols."""
        written = None if self.written is None else self.written.subs(values)
        return replace(self, expression=self.expression.subs(values), written=written)


Quantities: TypeAlias = Mapping[sp.Symbol, Quantity]


def unused_name(name: str, taken: Iterable[sp.Symbol]) -> str:
    """Return the name, with underscores appended until no symbol of a cell is called that."""
    names = {symbol.name for symbol in taken}
    while name in names:
        name += "_"
    return name


def checked_steps(steps: Any) -> int:
    """Return the number of steps, or raise :class:`ParameterError` if it is none."""
    check_counts(steps=steps)
    return index(steps)


def weight_std_symbol(cell: Cell, preactivation: str) -> tuple[sp.Symbol, WeightStd]:
    """Return the symbol of a weight standard deviation and what it stands for."""
    alone = len(cell.preactivations) == 1
    name = "sigma_w" if alone else f"sigma_{preactivation}"
    latex = r"\sigma_w" if alone else symbol_latex(sp.Symbol(name))
    return sp.Symbol(name, positive=True), WeightStd(preactivation, latex)


def s_symbols(order: int) -> dict[sp.Symbol, Quantity]:
    """Return the symbols s_1, ..., s_order and what they stand for."""
    return {sp.Symbol(f"s_{k}", real=True): SCoefficient(k) for k in range(1, order + 1)}


@dataclass
class AverageBook:
    """Names the averages that a derivation meets, and remembers what each stands for.

    The average of a sum is split into averages of monomials in the letters; the average of
    A^2 B^2 becomes the symbol ``E_A2_B2``.

    Attributes
    ----------
    letters
        Each letter and the expression in site variables that it stands for.
    independent
        Groups of letters whose averages factorise; letters outside all groups stay together.
    vanishes
        Tells for a monomial, given by its powers, whether its average is zero by symmetry.
    """

    letters: Mapping[sp.Symbol, sp.Expr]
    independent: tuple[frozenset[sp.Symbol], ...] = ()
    vanishes: Callable[[Mapping[sp.Symbol, int]], bool] = lambda powers: False
    quantities: dict[sp.Symbol, Quantity] = field(default_factory=dict)

    def __call__(self, expression: Any) -> Any:
        """Return the average of a polynomial in the letters, in terms of named symbols."""
        polynomial = sp.Poly(sp.sympify(expression, strict=True), *self.letters)
        return sp.Add(
            *(
                coefficient * self._monomial(dict(zip(self.letters, powers, strict=True)))
                for powers, coefficient in polynomial.terms()
            )
        )

    def _monomial(self, powers: Mapping[sp.Symbol, int]) -> Any:
        if self.vanishes(powers):
            return sp.S.Zero
        rest = {letter: power for letter, power in powers.items() if power}
        factors = []
        for group in self.independent:
            factors.append(self._named({k: n for k, n in rest.items() if k in group}))
            rest = {k: n for k, n in rest.items() if k not in group}
        return sp.Mul(*factors, self._named(rest))

    def _named(self, powers: Mapping[sp.Symbol, int]) -> Any:
        if not powers:
            return sp.S.One
        parts = [f"{letter}{power if power > 1 else ''}" for letter, power in powers.items()]
        product = sp.Mul(*(letter**power for letter, power in powers.items()))
        average = SiteAverage(product, tuple(self.letters.items()))
        symbol = sp.Symbol("_".join(["E", *parts]), real=True)
        # A letter A_c2 and the square of a letter A_c would have the same name.
        while self.quantities.get(symbol, average) != average:
            symbol = sp.Symbol(f"{symbol.name}_", real=True)
        self.quantities[symbol] = average
        return symbol
