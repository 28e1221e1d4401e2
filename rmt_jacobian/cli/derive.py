"""``rmt-jacobian derive``: exact expressions for the moments of J J^T."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import WholeNumber, theory_weights_choice
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import HypothesisError, ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell
    from rmt_jacobian.derive import Derivation

__all__ = ["derive_command"]

_HIGHEST = 8  # order, which takes half a minute


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
        "--format", type=click.Choice(["text", "latex"]), default="text", show_default=True
    ),
    click.option(
        "--weights",
        type=theory_weights_choice,
        help="Also evaluate the expression for this ensemble, at the parameters given with -p.",
    ),
    cell=True,
)
def derive_command(request: Request) -> None:
    """Derive a moment or the variance of J J^T as an exact expression.

    Over one step for every cell, over several for cells of one state and one preactivation. The
    expression holds for every bi-invariant W; its symbols s_1, s_2, ... tell the ensembles
    apart.
    """
    asked, (cell, parameters) = request.options, request.point
    if asked.variance == (asked.moment is not None):
        raise ParameterError("give either --moment K or --variance")
    number = _parse_steps(asked.steps)
    if asked.weights is not None and number is None:
        raise ParameterError("--weights asks for a number: give --steps a whole number")
    if asked.weights is None and request.values:
        raise ParameterError("parameters are only used to evaluate: add --weights")
    found = _derivation(cell, asked.moment, asked.route, number)
    request.say(
        found.text() if asked.format == "text" else found.latex(),
        "",
        *(f"  {name}: {meaning}" for name, meaning in found.meanings().items()),
        f"  holds for: {'; '.join(found.hypotheses)}",
    )
    results: dict[str, Any] = {
        "quantity": found.quantity,
        "expression": found.text(),
        "latex": found.latex(),
        "symbols": found.meanings(),
        "shorthands": {str(name): str(entry) for name, entry in found.shorthands().items()},
        "hypotheses": list(found.hypotheses),
    }
    if asked.weights is not None:
        results["value"] = found.evaluate(parameters, weights=asked.weights, steps=number)
        request.say(f"  value with {asked.weights} W: {results['value']:.10g}")
        request.describe()
    request.write(results)


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
        if moment > _HIGHEST:
            raise ParameterError(
                f"moment {moment} of one step takes minutes, five times as many as the one before: "
                "numbers of any order come from law.moment(2 * k) of singular_value_law in Python"
            )
        return derive.one_step_moment(cell, moment)
    if route == "exact" and (len(cell.states) > 1 or len(cell.gates) > 1):
        raise HypothesisError(
            f"cell {cell.name!r} has {len(cell.states)} states and {len(cell.gates)} "
            "preactivations: over several steps there are expressions for one of each only; for "
            "numbers use rmt_jacobian.pencils.product_moments_of, or rmt-jacobian density"
        )
    if route == "s-transform":
        if moment is None:
            found = derive.s_transform_variance(cell)
        else:
            found = derive.s_transform_moment(cell, moment)
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
