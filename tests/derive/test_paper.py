"""LaTeX of derivations: it compiles, fits on the page, and says what its symbols are."""

import re
import shutil
import subprocess

import pytest
import sympy as sp
from matplotlib.mathtext import MathTextParser

from rmt_jacobian.cells import Cell, Parameters, Preactivation, sigmoid
from rmt_jacobian.derive import (
    Derivation,
    exact_second_moment,
    exact_variance,
    one_step_moment,
    one_step_variance,
    s_transform_moment,
    s_transform_variance,
)
from rmt_jacobian.derive.paper import paper_latex
from rmt_jacobian.derive.quantities import SiteAverage
from rmt_jacobian.derive.typeset import NamedSums, Typesetter
from rmt_jacobian.errors import ParameterError

PAGE = 345.0  # points: the width of the text of an article of ten points
NUMBER = 15.0  # points, that the number of an equation takes

_h, _x, _e, _g = sp.symbols("α_h x% e_ g", real=True)
# Names that LaTeX would stumble over.
odd = Cell(
    "odd_one",
    (_h,),
    _x,
    (Preactivation("my_gate", _e, _h), Preactivation("other", _g, _h * sigmoid(_e))),
    (sigmoid(_e) * _h + sp.tanh(_g) * _x,),
)

FORMULAS = {
    "one step": lambda: one_step_variance("minimalrnn").latex(),
    "orthogonal": lambda: one_step_variance("minimalrnn").latex(weights="orthogonal"),
    "T steps": lambda: exact_variance("minimalrnn").latex(weights="orthogonal"),
    "20 steps": lambda: exact_second_moment("minimalrnn").latex(weights="gaussian", steps=20),
    "S-transforms": lambda: s_transform_moment("minimalrnn", 4).latex(),
    "vanilla": lambda: exact_variance("vanilla:hard-tanh").latex(),
    "sixth": lambda: one_step_moment("minimalrnn", 6).latex(),
    "lstm": lambda: one_step_variance("lstm").latex(weights="gaussian"),
    "gru": lambda: one_step_variance("gru-reset-after").latex(),
    "odd names": lambda: one_step_variance(odd).latex(),
}


def refuse_unbalanced(text: str) -> None:
    """Raise ValueError where braces, environments or delimiters do not match."""
    opened: list[str] = []
    tokens = re.findall(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+|\\.|[{}$]", text, re.DOTALL)
    closes = {"}": "{", r"\right": r"\left"}
    for token in tokens:
        if token == "$" and "$" in opened:
            if opened[-1] != "$":
                raise ValueError(f"{opened[-1]} is open at the end of a formula")
            opened.pop()
        elif token in ("{", r"\left", "$") or token.startswith(r"\begin{"):
            opened.append(token)
        elif token in closes or token.startswith(r"\end{"):
            wanted = closes.get(token, token.replace(r"\end", r"\begin"))
            if not opened or opened.pop() != wanted:
                raise ValueError(f"{token} closes nothing")
    if opened:
        raise ValueError(f"{opened[-1]} is never closed")


def equations(text: str) -> list[tuple[str, str]]:
    """Return left and right side of every row of the align environment."""
    body = text.split(r"\begin{align}")[1].split(r"\end{align}")[0]
    rows = [row.replace(r"\notag", "").strip() for row in body.split("\\\\\n")]
    assert all(row.count("&") == 1 for row in rows)
    return [tuple(part.strip() for part in row.split("&")) for row in rows]  # type: ignore


def legend(text: str) -> str:
    return text.split(r"\begin{itemize}")[1]


def width(formula: str) -> float:
    """Return the width in points as matplotlib sets it, which refuses what it cannot read."""
    parser = MathTextParser("path")
    return parser.parse(f"${formula}$", dpi=72, prop=FONT)[0] if formula else 0.0


def _font():
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=10, math_fontfamily="cm")


FONT = _font()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.thorough) if name in ("sixth", "lstm") else name
        for name in FORMULAS
    ],
)
def test_rows_are_formulas_that_fit(name: str) -> None:
    text = FORMULAS[name]()
    refuse_unbalanced(text)
    rows = equations(text)
    left = max(width(side) for side, _ in rows)
    right = max(width(side) for _, side in rows)
    assert 100 < left + right < PAGE - NUMBER
    numbered = [row for row in text.split(r"\end{align}")[0].split("\\\\\n") if "notag" not in row]
    assert len(numbered) == 1


@pytest.mark.slow
def test_everything_compiles(tmp_path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no LaTeX compiler: pdflatex is not on the path")
    body = "\n\\clearpage\n".join(formula() for formula in FORMULAS.values())
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert not re.findall(r"Overfull \\hbox.*|Missing character.*", log)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (r"\langle A^{2} \rangle", r"\langle A^{2 \rangle"),
        (r"\end{itemize}", ""),
        (r"\operatorname{sigmoid}{\left(", r"\operatorname{sigmoid}{("),
    ],
)
def test_the_check_finds_what_is_broken(good: str, bad: str) -> None:
    text = one_step_variance("minimalrnn").latex()
    assert good in text
    with pytest.raises(ValueError, match=r"close|open"):
        refuse_unbalanced(text.replace(good, bad, 1))


def test_the_variance_for_orthogonal_weights() -> None:
    text = one_step_variance("vanilla").latex(weights="orthogonal")
    assert equations(text) == [
        (
            r"\sigma_{J J^{\mathsf{T}}}^{2}",
            r"= - {\langle B^{2} \rangle}^{2} \sigma_w^{4} + \langle B^{4} \rangle \sigma_w^{4}",
        ),
        ("B", r"= 1 - \tanh^{2}{\left(e \right)}"),
    ]
    for meaning in ("state of a site", "input of a site", "e = W h + V x + b", "orthogonal $W$"):
        assert meaning in legend(text)


DERIVATIONS = [
    one_step_variance("minimalrnn"),
    one_step_variance("lstm"),
    exact_variance("minimalrnn"),
    s_transform_variance("vanilla"),
    one_step_variance(odd),
]


@pytest.mark.parametrize("derivation", DERIVATIONS, ids=lambda each: each.cell.name)
def test_every_symbol_has_its_meaning(derivation: Derivation) -> None:
    text = paper_latex(derivation)
    lefts = {side for side, _ in equations(text)}
    letters = set()
    for quantity in derivation.symbols.values():
        if isinstance(quantity, SiteAverage):
            letters |= quantity.product.free_symbols & {
                letter for letter, value in quantity.letters if letter != value
            }
        else:
            assert f"${quantity.latex}$: " in legend(text)
    assert {Typesetter().doprint(letter) for letter in letters} <= lefts
    named = set(re.findall(r"P_\{\d+\}", text))
    assert named <= lefts
    assert named == set(re.findall(r"P_\{\d+\}", legend(text)))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("derivation", DERIVATIONS[:4], ids=lambda each: each.cell.name)
def test_an_ensemble_replaces_its_coefficients(derivation: Derivation, weights: str) -> None:
    known = derivation.with_weights(weights)
    assert "s_1" in derivation.meanings()
    assert "s_1" not in known.meanings()
    assert "s_{" not in paper_latex(known).replace("s_{k}", "")
    parameters, steps = Parameters.of(derivation.cell), 3
    expected = derivation.evaluate(parameters, weights=weights, steps=steps)
    assert known.evaluate(parameters, steps=steps) == pytest.approx(expected, rel=1e-12)
    other = "orthogonal" if weights == "gaussian" else "gaussian"
    with pytest.raises(ParameterError, match=f"that of {weights} W"):
        known.evaluate(parameters, weights=other, steps=steps)


@pytest.mark.parametrize("derivation", DERIVATIONS[:4], ids=lambda each: each.cell.name)
def test_named_sums_are_what_they_replace(derivation: Derivation) -> None:
    sums = NamedSums(Typesetter(), "P")
    short = sums.shortened(derivation.expression, line=20, longest=5)
    back = short.subs({symbol: value for value, symbol in sums.known.items()})
    assert sp.expand(back - derivation.expression) == 0


def test_steps_and_forms() -> None:
    text = exact_variance("minimalrnn").latex(steps=20)
    assert r"\sum_{t=0}^{19} \chi_1^{t}" in text
    assert "over 20 steps" in text
    assert "$T$" not in text
    found = one_step_variance("minimalrnn")
    assert found.latex(form="align") in found.latex()
    assert "align" not in found.latex(form="formula")
    with pytest.raises(ParameterError, match="the form must be"):
        found.latex(form="word")  # type: ignore[arg-type]
