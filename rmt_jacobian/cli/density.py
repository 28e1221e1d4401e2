"""``rmt-jacobian density``: the limiting law of the singular values of a T-step product."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian import __version__
from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
    cell_settings,
    describe,
    json_option,
    needs_parameters,
    prepare_json,
    read_cell_and_parameters,
    sampling_options,
    say,
    weights_choice,
    write_json,
)

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.pencils import SingularValueLaw

__all__ = ["density_command"]


@click.command("density")
@cell_argument()
@needs_parameters
@click.option(
    "--steps", type=WholeNumber(min=1, max=10_000), default=1, show_default=True, metavar="T"
)
@click.option("--weights", type=weights_choice, default="gaussian", show_default=True)
@click.option(
    "--points",
    type=WholeNumber(min=20, max=1_000_000),
    default=1000,
    show_default=True,
    metavar="M",
    help="Where the density is given; placed so that the trapezoidal rule finds its mass.",
)
@click.option("--squared", is_flag=True, help="The law of the squares, the spectrum of J J^T.")
@click.option(
    "--sites",
    type=WholeNumber(min=16, max=1_000_000),
    default=1024,
    show_default=True,
    help="Low-discrepancy samples of the site variables; fewer are faster and rougher.",
)
@sampling_options(samples=4)
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="Draw the density over the singular values of sampled networks.",
)
@json_option
def density_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: int,
    weights: Any,
    points: int,
    squared: bool,
    sites: int,
    width: int,
    samples: int,
    seed: int,
    tied: bool,
    workers: int | None,
    device: Any,
    dtype: Any,
    figure: Path | None,
    json_path: str | None,
) -> None:
    """Solve for the limiting law of the singular values of a T-step product of Jacobians.

    The law is that of untied weights and infinite width.  It is solved on --device, in double
    precision.  Networks are sampled for the figure only, on --device, too; --width, --samples,
    --tied, --workers and --dtype are theirs.
    """
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)

    from rmt_jacobian.arrays import run_metadata
    from rmt_jacobian.pencils import singular_value_law
    from rmt_jacobian.plotting import check_figure_path, overlay_figure, save_figure
    from rmt_jacobian.sampling import ensemble_of, sample_singular_values

    if figure is not None:
        check_figure_path(figure)
    metadata = run_metadata(seed, device=device, dtype=dtype)  # refuses a GPU that is not there
    law = singular_value_law(
        found_cell,
        parameters,
        weights=ensemble_of(weights),
        steps=steps,
        sites=sites,
        seed=seed,
        squared=squared,
        progress=True,
        device=device,
    )
    settings = {
        **cell_settings(found_cell, parameters),
        "weights": weights,
        "steps": steps,
        "squared": squared,
        "sites": sites,
        "seed": seed,
        "version": __version__,
        "metadata": metadata,
    }
    results = _results(law, points)
    say(describe(found_cell, parameters), json_path)
    for line in _summary(law, results):
        say(line, json_path)
    if figure is not None:
        values = sample_singular_values(
            found_cell,
            parameters,
            weights=weights,
            steps=steps,
            width=width,
            samples=samples,
            seed=seed,
            tied=tied,
            workers=workers,
            progress=True,
            device=device,
            dtype=dtype,
        )
        kind = "tied (the law is untied)" if tied else "untied"
        title = f"{found_cell.name}, {weights} W, T = {steps}, {kind}"
        save_figure(overlay_figure(values, law.roots(), title), figure)
        say(f"wrote {figure}", json_path)
    write_json(json_path, {**settings, **results})


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
