"""LaTeX of expressions that are longer than a line.

A sum is broken between its terms, and a long product between its factors.  A fraction cannot be
broken: long sums inside a product get a name and a line of their own first.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.printing.conventions import split_super_sub
from sympy.printing.latex import LatexPrinter, translate
from sympy.printing.precedence import PRECEDENCE

__all__ = ["LINE", "NamedSums", "Typesetter", "equation_rows", "latex_width", "symbol_latex"]

LINE = 57.0
"""What fits on a line of an article beside the number of the equation: widths of a digit."""

_INDENT = 4.0  # of the rows after the first: a quad, and the sign
_NAMED = LINE / 3  # wider sums inside a product that is too long get a name
_GREEK = re.compile(r"\\[A-Za-z]+")

# Widths of what is no letter or digit, in widths of a digit; other commands are letters.
_WIDTHS = {
    "{": 0.0, "}": 0.0, "(": 0.8, ")": 0.8, "+": 2.4, "-": 2.4, "=": 2.6, "<": 2.6, ">": 2.6,
    " ": 0.0, "m": 1.7, "w": 1.4, r"\left": 0.0, r"\right": 0.0, r"\langle": 0.8,
    r"\rangle": 0.8, r"\,": 0.4, r"\quad": 2.0, r"\operatorname": 0.0, r"\mathrm": 0.0,
    r"\mathsf": 0.0, r"\tilde": 0.0, r"\cdot": 1.4, r"\chi": 1.2, r"\sigma": 1.15,
    r"\Sigma": 1.45, r"\sum": 2.9, r"\tanh": 4.0, r"\max": 4.0, r"\min": 3.4, r"\begin": 0.0,
    r"\end": 0.0, r"\text": 0.0,
}  # fmt: skip
_CAPITAL = 1.5
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_SCRIPT = 0.7  # size of an exponent or index


def symbol_latex(symbol: sp.Basic) -> str:
    r"""Return a symbol as it is typeset; words in its index are upright.

    Examples
    --------
    >>> symbol_latex(sp.Symbol("e_f")), symbol_latex(sp.Symbol("B_h_candidate"))
    ('e_{f}', 'B_{h,\\mathrm{candidate}}')
    >>> symbol_latex(sp.Symbol("A_"))  # a name that was taken
    '\\tilde{A}'
    """
    name = str(symbol)
    plain = name.rstrip("_")
    base, above, below = split_super_sub(plain or name)
    text = _word(base)
    for _ in range(len(name) - len(plain)):
        text = rf"\tilde{{{text}}}"
    index = [_word(each) for each in below]
    between = "," if any(each.startswith(r"\mathrm") for each in index) else " "
    text += f"_{{{between.join(index)}}}" if index else ""
    return text + (f"^{{{' '.join(map(_word, above))}}}" if above else "")


def _word(text: str) -> str:
    known = re.sub(r"([#%&$])", r"\\\1", translate(_spelled(text)))
    if len(known) < 2 or _GREEK.match(known) or known.isdigit():
        return known
    return rf"\mathrm{{{known}}}"


def _spelled(text: str) -> str:
    """Return the name of a Greek letter, which LaTeX asks for."""
    if len(text) != 1 or text.isascii():
        return text
    script, *_, letter = unicodedata.name(text).split()
    if script != "GREEK":
        return text
    return letter.title() if text.isupper() else letter.lower()


class Typesetter(LatexPrinter):
    r"""Prints expressions, with given names for some symbols.

    Parameters
    ----------
    names
        LaTeX of symbols; others are typeset by :func:`symbol_latex`.

    Examples
    --------
    >>> Typesetter({sp.Symbol("a"): r"\langle A^{2} \rangle"}).doprint(sp.Symbol("a") ** 2)
    '{\\langle A^{2} \\rangle}^{2}'
    """

    def __init__(self, names: Mapping[sp.Symbol, str] | None = None) -> None:
        super().__init__({"parenthesize_super": False})
        self.names = dict(names or {})
        self._known: dict[Any, str] = {}

    def doprint(self, expr: Any) -> str:
        """Return the LaTeX of an expression, which is remembered."""
        if expr not in self._known:
            self._known[expr] = super().doprint(expr)
        return self._known[expr]

    def _print_Symbol(self, expr: sp.Symbol, **_: Any) -> str:  # pyright: ignore
        return self.names.get(expr) or symbol_latex(expr)

    def _print_Mul(self, expr: Any) -> str:
        number, rest = expr.as_coeff_Mul()
        if number.is_Rational and number.q > 1 and sp.denom(rest) == 1:  # and no tall fraction
            return (
                f"{self._print(number)} {self.factor(rest) if rest.is_Add else self._print(rest)}"
            )
        return super()._print_Mul(expr)  # pyright: ignore[reportAttributeAccessIssue]

    def _hprint_Function(self, func: str) -> str:
        if "_" in func:
            return rf"\operatorname{{{func.replace('_', '-')}}}"
        return super()._hprint_Function(func)  # pyright: ignore[reportAttributeAccessIssue]

    def factor(self, expression: Any) -> str:
        """Print a factor of a product, in parentheses if it needs them."""
        return self.parenthesize(expression, PRECEDENCE["Mul"])  # pyright: ignore


def latex_width(latex: str) -> float:
    r"""Return about how wide a formula is, in widths of a digit.

    Examples
    --------
    >>> latex_width("a b"), latex_width(r"\frac{a b c}{d}"), latex_width("a^{bc}")
    (2.0, 3.0, 2.4)
    """
    width, rest = _run(_TOKEN.findall(latex), 0)
    assert rest >= 0
    return width


def _run(tokens: Sequence[str], at: int) -> tuple[float, int]:
    """Return the width up to the brace that closes the group, and the place behind it."""
    total = 0.0
    while at < len(tokens) and tokens[at] != "}":
        width, at = _one(tokens, at)
        total += width
    return total, at + 1


def _one(tokens: Sequence[str], at: int) -> tuple[float, int]:
    token = tokens[at]
    if token == "{":
        return _run(tokens, at + 1)
    if token in ("^", "_") and at + 1 < len(tokens):
        width, at = _one(tokens, at + 1)
        if tokens[at : at + 1] == ["^"]:  # above the index
            power, at = _one(tokens, at + 1)
            width = max(width, power)
        return _SCRIPT * width, at
    if token == r"\frac" and at + 1 < len(tokens):
        above, at = _one(tokens, at + 1)
        below, at = _one(tokens, at)
        return max(above, below), at
    return _WIDTHS.get(token, _CAPITAL if token.isupper() else 1.0), at + 1


@dataclass(frozen=True)
class NamedSums:
    """Gives names to sums inside products that are longer than a line.

    Attributes
    ----------
    printer
        Prints expressions.
    letter
        Names are this letter with a number.
    known
        The sums and their symbols.

    Examples
    --------
    >>> a, b, c = sp.symbols("a b c")
    >>> sums = NamedSums(Typesetter(), "P")
    >>> sums.shortened(a * (a + b) ** 2 + c, line=8, longest=2)
    P_1**2*a + c
    >>> sums.known
    {a + b: P_1}
    """

    printer: Typesetter
    letter: str
    known: dict[Any, sp.Symbol] = field(default_factory=dict)

    def shortened(self, expression: Any, *, line: float = LINE, longest: float = _NAMED) -> Any:
        """Return the expression with names for the sums that make its terms too long."""
        return sp.Add(
            *(
                self._term(term, longest) if self._width(term) > line - _INDENT else term
                for term in sp.Add.make_args(expression)
            ),
            evaluate=False,
        )

    def _width(self, expression: Any) -> float:
        return latex_width(self.printer.doprint(expression))

    def _term(self, term: Any, longest: float) -> Any:
        return sp.Mul(*(self._factor(each, longest) for each in sp.Mul.make_args(term)))

    def _factor(self, factor: Any, longest: float) -> Any:
        base, exponent = factor.as_base_exp()
        if not base.is_Add or self._width(base) <= longest:
            return factor
        if base not in self.known:
            name = f"{self.letter}_{len(self.known) + 1}"
            self.known[base] = sp.Symbol(name, positive=base.is_positive)
        return self.known[base] ** exponent


def equation_rows(
    printer: Typesetter, left: str, expression: Any, *, line: float = LINE
) -> list[str]:
    r"""Return the rows of an equation in an align environment, without what ends them.

    Parameters
    ----------
    printer
        Prints the right side.
    left
        LaTeX of the left side; empty for none.
    expression
        The right side.
    line
        How wide the column to the right of the equals signs is.

    Examples
    --------
    >>> a, b, c = sp.symbols("a b c")
    >>> equation_rows(Typesetter(), "m", a + b - b * c, line=8)
    ['m &= a - b c', '&\\quad {} + b']
    """
    rows, row, used = [], f"{left} &= " if left else "& ", 0.0
    first = True
    for sign, text in _pieces(printer, expression, line - _INDENT):
        shown = f"- {text}" if first and sign == "-" else text if first else f"{sign} {text}"
        width = latex_width(shown)
        if not first and used + width > line:
            rows.append(row.rstrip())
            row, used = r"&\quad {} ", 2.0
        row, used, first = row + shown + " ", used + width, False
    return [*rows, row.rstrip()]


def _pieces(printer: Typesetter, expression: Any, line: float) -> Iterable[tuple[str, str]]:
    """Yield what may stand on a row of its own: a sign, or a dot for a factor, and the LaTeX."""
    terms = expression.as_ordered_terms() if expression.is_Add else [expression]
    for term in terms:
        whole = printer.doprint(term)
        sign = "-" if whole.startswith("-") else "+"
        if latex_width(whole) <= line or not term.is_Mul:
            yield sign, whole.removeprefix("-").strip()
            continue
        yield from _factors(printer, -term if sign == "-" else term, sign, line)


def _factors(printer: Typesetter, term: Any, sign: str, line: float) -> Iterable[tuple[str, str]]:
    above, below = sp.fraction(term)
    run = [] if below == 1 else [printer.doprint(1 / below)]
    for factor in above.as_ordered_factors() if above.is_Mul else [above]:
        text = printer.factor(factor)
        if run and latex_width(" ".join([*run, text])) > line:
            yield sign, " ".join(run)
            run, sign = [], r"\cdot"
        run.append(text)
    yield sign, " ".join(run)
