"""``rmt-jacobian convolve``: the free sum or product of given laws."""

import warnings
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import WholeNumber, json_option, prepare_json, say, write_json
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


@click.command("convolve")
@click.option("--law", "laws", multiple=True, metavar="LAW", help=_LAWS)
@click.option("--add", is_flag=True, help="The law of the sum.")
@click.option("--multiply", is_flag=True, help="The law of the product.")
@click.option(
    "--points",
    type=WholeNumber(min=2, max=1_000_000),
    default=400,
    show_default=True,
    help="Number of points over the support.",
)
@click.option("--figure", type=click.Path(path_type=Path), help="Also draw the density.")
@json_option
def convolve_command(
    laws: tuple[str, ...],
    add: bool,
    multiply: bool,
    points: int,
    figure: Path | None,
    json_path: str | None,
) -> None:
    """Convolve laws freely: the spectrum of a sum or a product of free matrices.

    The density is solved for on the axis itself, and every value is certified.
    """
    if add == multiply:
        raise ParameterError("give either --add or --multiply")
    operation = "add" if add else "multiply"
    if len(laws) < 2:
        raise ParameterError("give at least two laws, each with --law")
    prepare_json(json_path)
    from rmt_jacobian.laws import boxplus, boxtimes, parse_law

    if figure is not None:
        from rmt_jacobian.plotting import check_figure_path

        check_figure_path(figure)
    law = reduce(boxplus if operation == "add" else boxtimes, map(parse_law, laws))
    content = {"laws": list(laws), "operation": operation, **_solved(law, points)}
    if figure is not None:
        from rmt_jacobian.plotting import save_figure
        from rmt_jacobian.plotting.laws import law_figure

        save_figure(law_figure(law, f"{operation}: {', '.join(laws)}"), figure)
    for low, high in content["edges"]:
        say(f"support  [{low:.12g}, {high:.12g}]", json_path)
    for location, mass in content["atoms"]:
        say(f"atom     {mass:.12g} at {location:.12g}", json_path)
    say(f"mean           {content['mean']:.10g}", json_path)
    say(f"second moment  {content['second_moment']:.10g}", json_path)
    say(f"residual {content['residual']:.2g}, error {content['error_estimate']:.2g}", json_path)
    write_json(json_path, content)


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
