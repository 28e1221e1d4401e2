"""``rmt-jacobian derive``: exact expressions for the moments of J J^T."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import WholeNumber, theory_weights_choice
from rmt_jacobian.cli.request import Request, command, described
from rmt_jacobian.errors import HypothesisError, ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell
    from rmt_jacobian.derive import Derivation

__all__ = ["derive_command"]

# The highest order of a moment: over one step ten seconds, by S-transforms two; and the most words
# that a moment may be the sum of, half a minute.
_HIGHEST, _HIGHEST_BY_S, _MOST_WORDS = 8, 6, 2_000_000
_DIGITS = 6  # of --steps
_OTHER_WAY = "numbers of any order come from law.moment(2 * k) of singular_value_law in Python"


@command(
    "derive",
    click.option("--moment", type=WholeNumber(min=1), help="Order k of the moment."),
    click.option("--variance", is_flag=True, help="The variance m_2 - m_1^2 instead of a moment."),
    click.option(
        "--route",
        type=click.Choice(["exact", "s-transform"]),
        default="exact",
        show_default=True,
        help="Over several steps: diagonal-valued (exact), or product of S-transforms.",
    ),
    click.option(
        "--steps",
        default="1",
        show_default=True,
        metavar="T",
        help='Number of steps: a whole number, or the letter "T" to keep it a symbol.',
    ),
    click.option(
        "--format",
        type=click.Choice(["text", "latex"]),
        default="text",
        show_default=True,
        help="LaTeX is an align environment and a list of all symbols, ready for a paper.",
    ),
    click.option(
        "--weights",
        type=theory_weights_choice,
        help="Put in the s_1, s_2, ... of this ensemble; with a number of steps also evaluate the "
        "expression, at the parameters given with -p.",
    ),
    click.option(
        "--tied",
        is_flag=True,
        help="m_1 of 1 to 4 steps that share their weights, and what that adds to fresh ones.",
    ),
    cell=True,
)
def derive_command(request: Request) -> None:
    """Derive a moment or the variance of J J^T as an exact expression.

    Over one step for every cell, over several for cells of one state and one preactivation. The
    expression holds for every bi-invariant W; its symbols s_1, s_2, ... tell the ensembles
    apart, and --weights puts in their values. The variance for orthogonal W as LaTeX:

        derive minimalrnn --variance --weights orthogonal --format latex

    With --tied: the mean of several steps that share their weights, of every cell.
    """
    asked, (cell, parameters) = request.options, request.point
    if asked.tied:
        _derive_tied(request)
        return
    if asked.variance == (asked.moment is not None):
        raise ParameterError("give either --moment K or --variance")
    number = _parse_steps(asked.steps)
    evaluated = asked.weights is not None and number is not None
    if request.values and not evaluated:
        missing = "add --weights" if asked.weights is None else "give --steps a whole number"
        raise ParameterError(f"parameters are only used to evaluate: {missing}")
    found = _derivation(cell, asked.moment, asked.route, number)
    if asked.weights is not None:
        found = found.with_weights(asked.weights)
    in_latex = asked.format == "latex"
    latex = found.latex() if in_latex or asked.json else ""
    request.say(latex if in_latex else _as_text(found))
    results: dict[str, Any] = {
        "quantity": found.quantity,
        "expression": found.text(),
        "latex": latex,
        "symbols": found.meanings(),
        "shorthands": {str(name): str(entry) for name, entry in found.shorthands().items()},
        "hypotheses": list(found.hypotheses),
    }
    if evaluated:
        results["value"] = found.evaluate(parameters, steps=number)
        begin = "% " if in_latex else "  "  # a comment in LaTeX
        request.say(
            f"{begin}value with {asked.weights} W: {results['value']:.10g}",
            f"{begin}at {described(cell, parameters)}",
        )
    request.write(results)


def _derive_tied(request: Request) -> None:
    """Print m_1 with shared weights, and what it is made of."""
    from sympy import latex

    from rmt_jacobian.derive import tied_mean

    asked, steps = request.options, _parse_steps(request.options.steps)
    if asked.variance or asked.moment not in (None, 1):
        raise ParameterError("with --tied there are expressions for --moment 1 alone")
    if asked.weights is not None or asked.route != "exact" or request.values:
        raise ParameterError(
            "with --tied m_1 is the same for every ensemble, and is not evaluated: leave out "
            "--weights, --route and -p; mean-field --tied has the numbers"
        )
    if steps is None:
        raise ParameterError("with --tied --steps must be a whole number, from 1 to 4")
    assert request.cell is not None
    found = tied_mean(request.cell.symbolic or request.cell, steps)
    parts = {"fresh": found.fresh, "extra": found.extra}
    in_latex = asked.format == "latex"
    written = {name: latex(each) if in_latex else str(each) for name, each in parts.items()}
    meanings = {name: str(entry) for name, entry in found.symbols.items()}
    hypotheses = "W bi-invariant, the same at all steps, steady state, N -> infinity"
    request.say(
        f"m_1({steps}) with fresh weights at every step, averages along the paths of sites:",
        f"  {written['fresh']}",
        "shared weights add:",
        f"  {written['extra']}",
        "",
        *(f"  {name}: {meaning}" for name, meaning in meanings.items()),
        f"  holds for: {hypotheses}",
    )
    request.write({
        "quantity": f"m_1({steps})",
        "expression": str(found.expression),
        "latex": latex(found.expression),
        **{name: str(each) for name, each in parts.items()},
        "symbols": meanings,
        "hypotheses": hypotheses.split(", "),
    })  # fmt: skip


def _as_text(found: "Derivation") -> str:
    meanings = [f"  {name}: {meaning}" for name, meaning in found.meanings().items()]
    return "\n".join([found.text(), "", *meanings, f"  holds for: {'; '.join(found.hypotheses)}"])


def _parse_steps(text: str) -> int | None:
    """Return the number of steps, or None for the symbol T."""
    if text == "T":
        return None
    if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
        raise ParameterError(
            f"--steps must be a whole number above 0, of up to {_DIGITS} digits, or the letter T, "
            f"not {text!r}"
        )
    return int(text)


def _derivation(cell: "Cell", moment: int | None, route: str, steps: int | None) -> "Derivation":
    from rmt_jacobian import derive

    if steps == 1:
        if moment is None:
            return derive.one_step_variance(cell)
        if moment > _HIGHEST or derive.one_step_words(cell, moment) > _MOST_WORDS:
            raise ParameterError(f"moment {moment} of one step takes too long: {_OTHER_WAY}")
        return derive.one_step_moment(cell, moment, progress=True)
    if route == "exact" and (len(cell.states) > 1 or len(cell.gates) > 1):
        named = f"rmt_jacobian.moments({cell.name!r}, ..., steps={steps or 'T'})"
        raise HypothesisError(
            f"over several steps there are exact expressions for cells with one state and one "
            f"preactivation, not for {cell.name!r}: {named} has the numbers, as rmt-jacobian verify"
            + (", and --route s-transform is an approximation" if len(cell.states) == 1 else "")
        )
    if route == "s-transform":
        if moment is None:
            found = derive.s_transform_variance(cell)
        elif moment > _HIGHEST_BY_S:
            raise ParameterError(f"moment {moment} by S-transforms takes too long: {_OTHER_WAY}")
        else:
            found = derive.s_transform_moment(cell, moment, progress=True)
    elif moment is None:
        found = derive.exact_variance(cell)
    elif moment <= 2:
        found = derive.exact_mean(cell) if moment == 1 else derive.exact_second_moment(cell)
    else:
        raise ParameterError(
            f"moment {moment} over several steps has no exact expression here: "
            "give --steps 1, or --route s-transform for the approximation by free steps"
        )
    return found if steps is None else found.at_steps(steps)
