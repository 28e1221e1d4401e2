"""``rmt-jacobian convolve``: the free sum or product of given laws."""

import warnings
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import WholeNumber, said_of
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ConvergenceError, ParameterError

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.laws import Law

__all__ = ["convolve_command"]

_LAWS = (
    "marchenko-pastur(ratio, scale), semicircle(radius, centre), fuss-catalan(order), "
    "free-poisson(rate, jump), quarter-circle(radius) or point-masses(x:w, ...); numbers by "
    "position or as name=number; repeatable."
)


@command(
    "convolve",
    click.option("--law", "laws", multiple=True, metavar="LAW", help=_LAWS),
    click.option("--add", is_flag=True, help="The law of the sum."),
    click.option("--multiply", is_flag=True, help="The law of the product."),
    click.option(
        "--points",
        type=WholeNumber(min=2, max=1_000_000),
        default=400,
        show_default=True,
        help="Number of points over the support.",
    ),
    figure="Also draw the density.",
    table="the density",
)
def convolve_command(request: Request) -> None:
    """Convolve laws freely: the spectrum of a sum or a product of free matrices.

    The density is solved for on the axis itself, and every value is certified.
    """
    asked = request.options
    if asked.add == asked.multiply:
        raise ParameterError("give either --add or --multiply")
    if len(asked.laws) < 2:
        raise ParameterError("give at least two laws, each with --law")

    from rmt_jacobian.laws import boxplus, boxtimes, parse_law

    operation = "add" if asked.add else "multiply"
    with said_of("--law"):
        laws = [parse_law(text) for text in asked.laws]
    law = reduce(boxplus if asked.add else boxtimes, laws)
    results = {"operation": operation, **_solved(law, asked.points)}
    request.say(
        *(f"support  [{low:.12g}, {high:.12g}]" for low, high in results["edges"]),
        *(f"atom     {mass:.12g} at {location:.12g}" for location, mass in results["atoms"]),
        f"mean           {results['mean']:.10g}",
        f"second moment  {results['second_moment']:.10g}",
        f"residual {results['residual']:.2g}, error {results['error_estimate']:.2g}",
    )
    request.draw(lambda: _figure(law, f"{operation}: {', '.join(asked.laws)}"))
    request.write(results, {name: results[name] for name in ("x", "density")})


def _figure(law: "Law", title: str) -> Any:
    from rmt_jacobian.plotting.laws import law_figure

    return law_figure(law, title)


def _solved(law: "Law", points: int) -> dict[str, Any]:
    """Return the density where it bends, every value certified, and what is known exactly."""
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of points that are refused below
        x = _grid(law, points)
    # Where the density is infinite or not known at an edge, the edge itself is left out.
    ends = np.array(law.support_intervals()).ravel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        x = x[~np.isin(x, ends) | law.solve(x).converged]
        solution = law.solve(x)
    if not np.all(solution.converged):
        raise ConvergenceError(
            f"{np.sum(~solution.converged)} of {points} points were not certified: choose other "
            "--points, or laws of more similar scales"
        )
    atoms = law.atoms()
    mass = sum(mass for _, mass in atoms) + np.trapezoid(solution.density, x)
    if not len(x) and abs(mass - 1) > 1e-9:
        raise ConvergenceError("no interval of the support was found: use laws of similar scales")
    return {
        "x": x.tolist(),
        "density": solution.density.tolist(),
        "edges": [list(interval) for interval in law.support_intervals()],
        "atoms": [list(atom) for atom in atoms],
        "edge_exponent_at_zero": law.edge_exponent_at_zero,
        "mean": law.mean(),
        "second_moment": law.moment(2),
        "residual": float(np.max(solution.residual, initial=0.0)),
        "error_estimate": float(abs(mass - 1)),
    }


def _grid(law: "Law", points: int) -> "np.ndarray":
    """Return points where the density bends, or equal angles where there is no cdf to tell."""
    from rmt_jacobian.laws import angular_grid, trapezoidal_grid

    try:
        return trapezoidal_grid(law, points)
    except ConvergenceError:
        return angular_grid(law, points)
