r"""A derivation for a paper: an ``align`` environment, and a legend of all its symbols."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp

from rmt_jacobian.derive.jacobian import jacobian_polynomial
from rmt_jacobian.derive.quantities import Quantity, Shorthand, SiteAverage, WeightStd, unused_name
from rmt_jacobian.derive.typeset import (
    LINE,
    NamedSums,
    Typesetter,
    equation_rows,
    latex_width,
    symbol_latex,
)
from rmt_jacobian.freeprob import Diagonal, Letter, RDiagonal

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell
    from rmt_jacobian.derive.derivation import Derivation

__all__ = ["VARIANCE_NAME", "moment_name", "paper_latex"]

VARIANCE_NAME = r"\sigma_{J J^{\mathsf{T}}}^{2}"

_LONG = 25  # rows, from which an align may break over pages
_FUNCTIONS = {  # that a reader need not know under this name
    "sigmoid": r"\operatorname{sigmoid}(z) = 1 / (1 + e^{-z})",
    "relu": r"\operatorname{relu}(z) = \max(z, 0)",
    "hard_tanh": r"\operatorname{hard-tanh}(z) = \max(-1, \min(z, 1))",
    "indicator": r"\operatorname{indicator}(z) = 1 \text{ for } z > 0, \; 0 \text{ elsewhere}",
}
_MOMENTS = (
    r"$m_k = \lim_{N \to \infty} \frac{1}{N} \mathrm{E} \operatorname{tr} (J J^{\mathsf{T}})^k$: "
    r"the moments of the squared singular values of $J$, $J$ the Jacobian"
)


def moment_name(k: int) -> str:
    """Return how the k-th moment is typeset."""
    return f"m_{{{k}}}"


def paper_latex(derivation: "Derivation", *, legend: bool = True) -> str:
    r"""Return the formula in an ``align`` environment, and what its symbols mean.

    The number of the equation stands behind the formula itself; abbreviations follow without one.
    It needs the package amsmath.

    Parameters
    ----------
    derivation
        The expression and its symbols.
    legend
        Whether the meanings follow, as a list.

    Examples
    --------
    >>> from rmt_jacobian.derive import one_step_moment
    >>> print(paper_latex(one_step_moment("vanilla", 1), legend=False))
    \begin{align}
      m_{1} &= \langle B^{2} \rangle \sigma_w^{2} \\
      B &= 1 - \tanh^{2}{\left(e \right)} \notag
    \end{align}
    """
    letters = _letters(derivation)
    printer = Typesetter({name: each.latex for name, each in derivation.symbols.items()})
    taken = {*derivation.symbols, *letters, *derivation.cell.site_symbols}
    sums = NamedSums(printer, unused_name("P", taken))
    short = {
        name: each.expression if each.written is None else each.written
        for name, each in derivation.symbols.items()
        if isinstance(each, Shorthand)
    }
    left = [derivation.name, *(printer.doprint(name) for name in (*short, *letters))]
    line = LINE - max(map(latex_width, left))
    rows = _formula(derivation, printer, sums, short, line)
    for name, value in letters.items():
        rows += _definition(printer, name, value, line)
    body = " \\\\\n".join("  " + row for row in rows)
    text = f"\\begin{{align}}\n{body}\n\\end{{align}}"
    if len(rows) > _LONG:
        text = f"\\begingroup\\allowdisplaybreaks\n{text}\n\\endgroup"
    return f"{text}\n{_legend(derivation, letters, printer, sums)}" if legend else text


def _formula(
    derivation: "Derivation",
    printer: Typesetter,
    sums: NamedSums,
    short: Mapping[sp.Symbol, Any],
    line: float,
) -> list[str]:
    """Return the rows of the formula, of its named sums, and of its abbreviations."""
    main = sums.shortened(derivation.expression, line=line)
    rows = equation_rows(printer, derivation.name, main, line=line)
    rows[:-1] = [row + r" \notag" for row in rows[:-1]]
    shorter = {name: sums.shortened(value, line=line) for name, value in short.items()}
    written = 0
    while written < len(sums.known):  # a named sum may need names in turn
        value, name = list(sums.known.items())[written]
        rows += _definition(printer, name, sums.shortened(value, line=line), line)
        written += 1
    for name, value in shorter.items():
        rows += _definition(printer, name, value, line)
    return rows


def _definition(printer: Typesetter, name: sp.Symbol, value: Any, line: float) -> list[str]:
    rows = equation_rows(printer, printer.doprint(name), value, line=line)
    return [row + r" \notag" for row in rows]


def _letters(derivation: "Derivation") -> dict[sp.Symbol, sp.Expr]:
    """Return the letters of all averages that are no variables of a site themselves."""
    found: dict[sp.Symbol, sp.Expr] = {}
    for quantity in derivation.symbols.values():
        if isinstance(quantity, SiteAverage):
            for letter, value in quantity.letters:
                if quantity.product.has(letter) and letter != value:
                    found[letter] = value
    return dict(sorted(found.items(), key=lambda item: str(item[0])))


def _legend(
    derivation: "Derivation",
    letters: Mapping[sp.Symbol, sp.Expr],
    printer: Typesetter,
    sums: NamedSums,
) -> str:
    cell, symbols = derivation.cell, derivation.symbols
    items = [_left_side(derivation), _MOMENTS]
    averages = [quantity for quantity in symbols.values() if isinstance(quantity, SiteAverage)]
    if averages:
        items.append(r"$\langle \cdot \rangle$: average over sites in the stationary state")
    if letters:
        names = ", ".join(f"${symbol_latex(letter)}$" for letter in letters)
        items.append(f"{names}: functions of the variables of one site")
        items += _jacobian(cell, letters)
    read = set[sp.Basic]().union(
        *(value.free_symbols for value in letters.values()),
        *(quantity.product.free_symbols for quantity in averages),
    )
    items += _variables(cell, read)
    for symbol, quantity in symbols.items():
        if not isinstance(quantity, SiteAverage):
            items.append(f"${printer.doprint(symbol)}$: {_meaning(quantity)}")
    state = symbol_latex(cell.states[0])
    if any(str(symbol).startswith("K_") for symbol in symbols):
        items.append(
            rf"$p_j = m_1 \langle d {state}^j \rangle$, "
            rf"$q_j = \langle d^2 {state}^j \rangle$: averages of the "
            rf"diagonal $d = \operatorname{{diag}}(J J^{{\mathsf{{T}}}})$ with the state ${state}$"
        )
    if sums.known:
        names = ", ".join(f"${printer.doprint(symbol)}$" for symbol in sums.known.values())
        items.append(f"{names}: abbreviation{'s' * (len(sums.known) > 1)}")
    functions = {
        type(node).__name__ for value in letters.values() for node in value.atoms(sp.Function)
    }
    items += [f"${_FUNCTIONS[name]}$" for name in sorted(functions & _FUNCTIONS.keys())]
    items.append(f"it holds for {'; '.join(map(_words, derivation.hypotheses))}")
    lines = ";\n".join(rf"  \item {item}" for item in items)
    return f"\\noindent Here\n\\begin{{itemize}}\\raggedright\n{lines}.\n\\end{{itemize}}"


def _left_side(derivation: "Derivation") -> str:
    name = derivation.name + " = m_2 - m_1^2" * (derivation.name == VARIANCE_NAME)
    return f"${name}$: {_words(derivation.quantity)}"


def _jacobian(cell: "Cell", letters: Mapping[sp.Symbol, sp.Expr]) -> list[str]:
    """Return the Jacobian of one step, where it is one polynomial in these letters."""
    J = jacobian_polynomial(cell)
    if J.states > 1 or not letters.items() <= dict(J.letters).items():
        return []
    words = [" ".join(_letter(cell, letter) for letter in word) for word in J.words]
    return [f"${' + '.join(words)}$: the Jacobian of one step"]


def _letter(cell: "Cell", letter: Letter) -> str:
    if isinstance(letter, RDiagonal):
        return _of_preactivation(cell, "W", letter.name)
    assert isinstance(letter, Diagonal)
    return symbol_latex(letter.value)


def _of_preactivation(cell: "Cell", matrix: str, name: str) -> str:
    """Return W, V or b of a preactivation, with its name where there are several."""
    alone = len(cell.preactivations) == 1
    return matrix if alone else symbol_latex(sp.Symbol(f"{matrix}_{name}"))


def _variables(cell: "Cell", read: set[sp.Basic]) -> list[str]:
    read = set(read)
    for each in reversed(cell.preactivations):  # a source reads earlier ones
        if each.symbol in read:
            read |= each.source.free_symbols | ({cell.input} if each.reads_input else set())
    items = [
        f"${symbol_latex(each)}$: state of a site, "
        f"${symbol_latex(each)}' = {Typesetter().doprint(update)}$ one step later"
        for each, update in zip(cell.states, cell.updates, strict=True)
        if each in read
    ]
    if cell.input in read:
        items.append(f"${symbol_latex(cell.input)}$: input of a site")
    for each in cell.preactivations:
        if each.symbol in read:
            W, V, b = (_of_preactivation(cell, matrix, each.name) for matrix in "WVb")
            terms = [f"{W} {Typesetter().factor(each.source)}"] * each.reads_state
            terms += [f"{V} {symbol_latex(cell.input)}"] * each.reads_input
            name = symbol_latex(each.symbol)
            items.append(
                f"${name}$: preactivation {_code(each.name)} of a site, "
                f"${name} = {' + '.join([*terms, b])}$"
            )
    return items


def _meaning(quantity: Quantity) -> str:
    match quantity:
        case WeightStd():
            return (
                r"scale of the recurrent weights of preactivation "
                rf"{_code(quantity.preactivation)}, "
                rf"$\frac{{1}}{{N}} \mathrm{{E}} \operatorname{{tr}} W W^{{\mathsf{{T}}}} = "
                rf"{quantity.latex}^2$"
            )
        case Shorthand():
            return _words(quantity.words)
        case _:
            return _words(quantity.meaning)


_MATHS = re.compile(
    r"J J\^T|W W\^T|->|\(-1\)\^k|[A-Za-z]+_[A-Za-z0-9]+(?:\^\w+)?|\b[A-Za-z]\^\w+|\b[A-Z]\b"
)
_SPECIAL = {each: "\\" + each for each in "&%#_{}$"} | {"^": r"\^{}", "~": r"\~{}"}


def _words(text: str) -> str:
    r"""Return words as LaTeX; what looks like a formula in them is one.

    Examples
    --------
    >>> _words("moment 2 of J J^T over T steps, 100 %")
    'moment 2 of $J J^{\\mathsf{T}}$ over $T$ steps, 100 \\%'
    >>> _words("N -> infinity, s_k = 0")
    '$N$ $\\to$ infinity, $s_{k}$ = 0'
    """
    shown, at = "", 0
    for match in _MATHS.finditer(text):
        shown += _escaped(text[at : match.start()]) + f"${_formula_in(match.group())}$"
        at = match.end()
    return shown + _escaped(text[at:])


def _formula_in(text: str) -> str:
    if text == "->":
        return r"\to"
    if text.endswith("^T"):
        return text.replace("^T", r"^{\mathsf{T}}")
    name, _, power = text.partition("^")
    base = name if name.startswith("(") else symbol_latex(sp.Symbol(name))
    return base + (f"^{{{power}}}" if power else "")


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _code(name: str) -> str:
    return rf"\texttt{{{_escaped(name)}}}"
