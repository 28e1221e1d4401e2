"""``rmt-jacobian derive``: exact expressions for the moments of J J^T."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
    describe,
    json_option,
    needs_parameters,
    prepare_json,
    read_cell_and_parameters,
    say,
    theory_weights_choice,
    write_json,
)
from rmt_jacobian.errors import HypothesisError, ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell
    from rmt_jacobian.derive import Derivation

__all__ = ["derive_command"]

# The highest order of a moment: over one step ten seconds, by S-transforms two; and the most words
# that a moment may be the sum of, half a minute.
_HIGHEST, _HIGHEST_BY_S, _MOST_WORDS = 8, 6, 2_000_000
_OTHER_WAY = "numbers of any order come from law.moment(2 * k) of singular_value_law in Python"


@click.command("derive")
@cell_argument()
@click.option("--moment", type=WholeNumber(min=1), help="Order k of the moment.")
@click.option("--variance", is_flag=True, help="The variance m_2 - m_1^2 instead of a moment.")
@click.option(
    "--route",
    type=click.Choice(["exact", "s-transform"]),
    default="exact",
    show_default=True,
    help="Over several steps: diagonal-valued (exact), or product of S-transforms.",
)
@click.option(
    "--steps",
    default="1",
    show_default=True,
    metavar="T",
    help='Number of steps: a whole number, or the letter "T" to keep it a symbol.',
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "latex"]),
    default="text",
    show_default=True,
    help="LaTeX is an align environment and a list of all symbols, ready for a paper.",
)
@needs_parameters
@click.option(
    "--weights",
    type=theory_weights_choice,
    help="Put in the s_1, s_2, ... of this ensemble; with a number of steps also evaluate the "
    "expression, at the parameters given with -p.",
)
@json_option
def derive_command(
    cell: str,
    moment: int | None,
    variance: bool,
    route: str,
    steps: str,
    output_format: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    weights: str | None,
    json_path: str | None,
) -> None:
    """Derive a moment or the variance of J J^T as an exact expression.

    Over one step for every cell, over several for cells of one state and one preactivation. The
    expression holds for every bi-invariant W; its symbols s_1, s_2, ... tell the ensembles
    apart, and --weights puts in their values. The variance for orthogonal W as LaTeX:

        derive minimalrnn --variance --weights orthogonal --format latex
    """
    if variance == (moment is not None):
        raise ParameterError("give either --moment K or --variance")
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)
    number = _parse_steps(steps)
    found = _derivation(found_cell, moment, route, number)
    value: float | None = None
    if weights is not None:
        found = found.with_weights(weights)
        if number is not None:
            value = found.evaluate(parameters, steps=number)
    if value is None and (assignments or config):
        missing = "add --weights" if weights is None else "give --steps a whole number"
        raise ParameterError(f"parameters are only used to evaluate: {missing}")
    latex = found.latex() if output_format == "latex" or json_path else ""
    say(_as_text(found) if output_format == "text" else latex, json_path)
    content: dict[str, Any] = {
        "cell": found_cell.name,
        "quantity": found.quantity,
        "steps": number if number is not None else "T",
        "route": route,
        "expression": found.text(),
        "latex": latex,
        "symbols": found.meanings(),
        "shorthands": {str(name): str(entry) for name, entry in found.shorthands().items()},
        "hypotheses": list(found.hypotheses),
    }
    if weights is not None:
        content |= {"weights": weights}
    if value is not None:
        begin = "% " if output_format == "latex" else "  "  # a comment in LaTeX
        say(f"{begin}value with {weights} W: {value:.10g}", json_path)
        say(f"{begin}at {describe(found_cell, parameters)}", json_path)
        content |= {"parameters": parameters.named(), "value": value}
    write_json(json_path, content)


def _as_text(found: "Derivation") -> str:
    meanings = [f"  {name}: {meaning}" for name, meaning in found.meanings().items()]
    return "\n".join([found.text(), "", *meanings, f"  holds for: {'; '.join(found.hypotheses)}"])


def _parse_steps(text: str) -> int | None:
    """Return the number of steps, or None for the symbol T."""
    if text == "T":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError(
            f"--steps must be a whole number above 0, or the letter T, not {text!r}"
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
        raise HypothesisError(
            f"cell {cell.name!r} has {len(cell.states)} states and {len(cell.gates)} "
            "preactivations: over several steps there are expressions for one of each only; for "
            "numbers use rmt_jacobian.pencils.product_moments_of, or rmt-jacobian density"
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
