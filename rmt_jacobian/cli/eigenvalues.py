"""``rmt-jacobian eigenvalues``: where the eigenvalues of the one-step Jacobian lie."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    RealNumber,
    WholeNumber,
    device_option,
    different,
    dtype_option,
    seed_option,
    sites_option,
    weights_option,
)
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell, Parameters
    from rmt_jacobian.eigenvalues import EigenvalueLaw
    from rmt_jacobian.mean_field import Sites, TiedSteadyState

__all__ = ["eigenvalues_command"]

_LONGEST_PERIOD = 16_384  # steps; a GRU with update.weight_std = 10 remembers for hundreds


@command(
    "eigenvalues",
    weights_option,
    click.option(
        "--dynamics",
        type=click.Choice(["tied", "untied", "fixed-point"]),
        default="tied",
        show_default=True,
        help="Where the Jacobian is taken: in the steady state of a network that keeps its "
        "weights, of one with fresh weights at every step, or at a fixed point of the former.",
    ),
    click.option(
        "--disk",
        "disks",
        multiple=True,
        callback=different,
        metavar="RE,IM,R",
        help="Count the eigenvalues within this disk; repeatable.",
    ),
    click.option(
        "--points",
        type=WholeNumber(min=8, max=100_000),
        default=200,
        show_default=True,
        metavar="M",
        help="About how many points each curve of the boundary has.",
    ),
    sites_option(8192, 64, "Samples of the site variables; fewer are faster and rougher."),
    click.option(
        "--width", type=WholeNumber(min=1, max=100_000), default=400, show_default=True,
        help="Number of sites N of the sampled networks in the figure.",
    ),
    click.option(
        "--samples", type=WholeNumber(min=1, max=100_000), default=4, show_default=True,
        help="Number of sampled networks in the figure.",
    ),
    click.option(
        "--tolerance", type=RealNumber(min=1e-4, max=1, max_open=True), metavar="E",
        help="Largest relative error of a variance in the tied steady state; by default what the "
        "sites give, which is printed.",
    ),
    seed_option,
    device_option,
    dtype_option,
    cell=True,
    figure="Draw the boundary over the eigenvalues of sampled networks.",
    table="the boundary",
)  # fmt: skip
def eigenvalues_command(request: Request) -> None:
    """Find the support, radius, atoms and counts of the eigenvalues of the one-step Jacobian.

    The law is that of infinite width; sums over its sites run on --device, in double precision.
    Networks are sampled for the figure only, on --device, too; at a fixed point,
    where each takes a search of its own, widths above 150 take minutes.
    """
    asked = request.options
    circles = [_disk(text) for text in asked.disks]

    from rmt_jacobian.eigenvalues import eigenvalue_law

    population, steady = _population(
        *request.point, asked.dynamics, asked.sites, asked.tolerance, asked.seed
    )
    law = eigenvalue_law(population, weights=request.ensemble, device=asked.device)
    curves = law.boundary(asked.points)
    results = {
        "boundary": [[[float(z.real), float(z.imag)] for z in curve] for curve in curves],
        "spectral_radius": law.spectral_radius,
        "atoms": [list(atom) for atom in law.atoms()],
        "inside": [float(share) for share in law.inside(circles)],
        "steady_state": steady and _summary(steady),
    }
    request.describe()
    if steady is not None:
        request.say(_described(steady))
    request.say(
        f"spectral radius  {results['spectral_radius']:.8g}",
        f"boundary of the support: {len(curves)} closed curve{'s' * (len(curves) != 1)}",
        *(f"atom at {re:g} {im:+g}i of mass {mass:.6g}" for re, im, mass in results["atoms"]),
    )
    for (re, im, r), share in zip(circles, results["inside"], strict=True):
        request.say(f"within {r:g} of {re:g} {im:+g}i  {share:.6g}")
    request.draw(lambda: _figure(request, law))
    request.write(results, _table(results["boundary"]))


def _figure(request: Request, law: "EigenvalueLaw") -> Any:
    from rmt_jacobian.plotting import eigenvalue_figure
    from rmt_jacobian.sampling import sample_eigenvalues

    asked, (cell, parameters) = request.options, request.point
    values = sample_eigenvalues(cell, parameters, dynamics=asked.dynamics, **request.sampling)
    return eigenvalue_figure(
        law, values.ravel(), f"{cell.name}, {asked.weights} W, {asked.dynamics}"
    )


def _table(boundary: list[list[list[float]]]) -> dict[str, list[float]]:
    rows = [(k, *point) for k, curve in enumerate(boundary) for point in curve]
    names = ("curve", "real", "imaginary")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _disk(text: str) -> tuple[float, float, float]:
    try:
        re, im, r = (float(part) for part in text.split(","))
    except ValueError:
        raise ParameterError(f"--disk {text!r} is not of the form RE,IM,R: three numbers") from None
    if not (r > 0 and abs(re) + abs(im) + r < 1e50):
        raise ParameterError(f"--disk {text!r}: the radius must be positive, all numbers finite")
    return re, im, r


def _population(
    cell: "Cell", parameters: "Parameters", dynamics: str, count: int, tolerance: float | None,
    seed: int,
) -> "tuple[Sites, TiedSteadyState | None]":  # fmt: skip
    """Return sites of the law that the dynamics settle into, and the steady state if tied."""
    from rmt_jacobian.mean_field import stationary, tied_steady_state

    if dynamics != "tied" and tolerance is not None:
        raise ParameterError("--tolerance is for --dynamics tied: leave it out")
    if dynamics == "untied":
        state = stationary(cell, parameters).state
        return state.history(1, count=count, seed=seed)[0], None
    if dynamics == "fixed-point":
        law = stationary(cell, parameters, dynamics="at_rest")
        return law.point.sites(count, seed), None
    found = tied_steady_state(
        cell,
        parameters,
        sites=count,
        seed=seed,
        tolerance=tolerance,
        longest_period=_LONGEST_PERIOD,
        progress=True,
    )
    return found.sites(), found


def _described(found: "TiedSteadyState") -> str:
    known = f"variances known to {100 * found.relative_error:.2g} %"
    if found.frozen:
        return f"steady state: a standstill, {known}"
    time, error = found.correlation_time, found.correlation_time_error
    return f"steady state: {known}, correlation time {time:.3g} +- {error:.1g} steps"


def _summary(found: "TiedSteadyState") -> dict[str, Any]:
    time = None if found.frozen else found.correlation_time
    values, errors = found.preactivation_variances, found.preactivation_errors[:, 0]
    return {
        "frozen": found.frozen,
        "correlation_time": time,
        "correlation_time_error": found.correlation_time_error,
        "relative_error": found.relative_error,
        "preactivation_variances": {
            each.name: [float(values[k]), float(errors[k])]
            for k, each in enumerate(found.cell.preactivations)
        },
    }
