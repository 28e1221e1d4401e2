"""``rmt-jacobian density``: the limiting law of the singular values of a T-step product."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    FRESH_WEIGHTS,
    WholeNumber,
    sampling_options,
    sites_option,
    steps_option,
    weights_option,
)
from rmt_jacobian.cli.request import Request, command

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.singular_values import SingularValueLaw

__all__ = ["density_command"]


@command(
    "density",
    steps_option(10_000),
    weights_option,
    click.option(
        "--points",
        type=WholeNumber(min=20, max=1_000_000),
        default=1000,
        show_default=True,
        metavar="M",
        help="Where the density is given; placed so that the trapezoidal rule finds its mass.",
    ),
    click.option("--squared", is_flag=True, help="The law of the squares, the spectrum of J J^T."),
    sites_option(1024),
    sampling_options(samples=4),
    cell=True,
    figure="Draw the density over the singular values of sampled networks.",
    table="density and cdf",
)
def density_command(request: Request) -> None:
    """Solve for the limiting law of the singular values of a T-step product of Jacobians.

    The law is that of infinite width, with fresh weights at every step or, with --tied, with those
    that a network keeps.  It is solved on --device, in double precision.  Networks are sampled for
    the figure only, on --device, too; --width, --samples, --workers and --dtype are theirs.
    """
    from rmt_jacobian.mean_field import Network, stationary
    from rmt_jacobian.singular_values import singular_value_law

    asked, (cell, parameters) = request.options, request.point
    network: Network = cell
    if asked.tied:
        network = stationary(
            cell, parameters, dynamics="tied", biases=asked.biases, seed=asked.seed, progress=True
        )
    law = singular_value_law(
        network,
        None if asked.tied else parameters,
        weights=request.ensemble,
        steps=asked.steps,
        sites=asked.sites,
        seed=asked.seed,
        squared=asked.squared,
        progress=True,
        device=asked.device,
    )
    results = _results(law, asked.points)
    request.describe()
    request.say(*_summary(law, results))
    if asked.steps > 1 and not asked.tied:
        request.say(FRESH_WEIGHTS)
    request.draw(lambda: _figure(request, law))
    request.write(results, {name: results[name] for name in ("x", "density", "cdf")})


def _figure(request: Request, law: "SingularValueLaw") -> Any:
    from rmt_jacobian.plotting import overlay_figure
    from rmt_jacobian.sampling import sample_singular_values

    asked, (cell, parameters) = request.options, request.point
    values = sample_singular_values(cell, parameters, **request.sampling)
    kind = "tied" if asked.tied else "untied"
    title = f"{cell.name}, {asked.weights} W, T = {asked.steps}, {kind}"
    return overlay_figure(values, law.roots(), title)


def _results(law: "SingularValueLaw", points: int) -> dict[str, Any]:
    from rmt_jacobian.laws import trapezoidal_grid

    x = trapezoidal_grid(law, points)
    squares = law.squares()
    return {
        "x": x.tolist(),
        "density": _listed(law.pdf(x)),
        "cdf": _listed(law.cdf(x)),
        "edges": [list(interval) for interval in law.support_intervals()],
        "atoms": [list(atom) for atom in law.atoms()],
        "mean": squares.moment(1),
        "second_moment": squares.moment(2),
        "moment_errors": list(law.moment_errors),
        "calibration": _calibration(law),
        "edge_exponent_at_zero": law.edge_exponent_at_zero,
        "residual": law.residual,
        "error_estimate": law.error_estimate,
    }


def _calibration(law: "SingularValueLaw") -> dict[str, Any] | None:
    """Return what the sites miss of the exact moments; None where these are not known."""
    found = law.calibration
    if found is None:
        return None
    return {
        "sites": found.chain.sites.count,
        "missed": list(found.missed),
        "reached": found.reached,
        "strength": found.strength if found.reached else None,
    }


def _listed(values: "np.ndarray") -> list[float]:
    return [float(value) for value in values]


def _summary(law: "SingularValueLaw", results: dict[str, Any]) -> list[str]:
    variable = "eigenvalues of J J^T" if law.squared else "singular values of J"
    intervals = ", ".join(f"[{low:.6g}, {high:.6g}]" for low, high in results["edges"])
    lines = [f"support of the {variable}  {intervals}"]
    lines += [f"atom at {at:g} of mass {mass:.6g}" for at, mass in results["atoms"]]
    quantiles = ", ".join(f"{law.ppf(p):.6g}" for p in (0.05, 0.5, 0.95))
    mean, second = (
        _with_error(results[name], error)
        for name, error in zip(("mean", "second_moment"), law.moment_errors, strict=True)
    )
    return [
        *lines,
        f"quantiles 0.05, 0.5, 0.95    {quantiles}",
        f"mean of J J^T                {mean}",
        f"second moment of J J^T       {second}",
        *_sites_line(results["calibration"]),
        f"largest residual             {results['residual']:.1e}",
        f"error of the cdf (estimate)  {results['error_estimate']:.1e}",
    ]


def _with_error(value: float, error: float) -> str:
    """Return a moment with the relative error that its sites leave, if any."""
    return f"{value:.10g}" if error == 0 else f"{value:.6g} ± {error * value:.1g} (of the sites)"


def _sites_line(calibration: dict[str, Any] | None) -> list[str]:
    if calibration is None:
        return []
    first, second = (f"{100 * missed:+.2g} %" for missed in calibration["missed"])
    fate = "which their weights make up for"
    if not calibration["reached"]:
        fate = "and no weights make up for it: the moments are exact, the law is not; raise --sites"
    return [f"the {calibration['sites']} sites miss them by  {first} and {second}, {fate}"]
