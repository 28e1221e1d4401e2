"""``rmt-jacobian lanczos``: moments and spectra of products that are never formed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian import __version__
from rmt_jacobian.cli.allocation import keep_freed_memory
from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
    cell_settings,
    describe,
    device_option,
    dtype_option,
    json_option,
    needs_parameters,
    prepare_json,
    read_cell_and_parameters,
    say,
    weights_choice,
    write_json,
)

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.comparison import LanczosComparison
    from rmt_jacobian.pencils import SingularValueLaw
    from rmt_jacobian.sampling import LanczosSpectrum, MatrixFreeMoments

__all__ = ["lanczos_command"]

_POINTS = 400


@click.command("lanczos")
@cell_argument()
@needs_parameters
@click.option(
    "--steps", type=WholeNumber(min=1, max=100_000), default=1, show_default=True, metavar="T"
)
@click.option(
    "--weights",
    type=weights_choice,
    default="fast-orthogonal",
    show_default=True,
    help="The fast ones take O(N log N) for a product with W, the others N^2 and N^2 numbers each.",
)
@click.option(
    "--width",
    type=WholeNumber(min=2, max=1 << 28),
    default=16384,
    show_default=True,
    help="Number of sites N.",
)
@click.option(
    "--samples", type=WholeNumber(min=1), default=1, show_default=True, help="Number of networks."
)
@click.option(
    "--vectors",
    type=WholeNumber(min=1),
    default=8,
    show_default=True,
    help="Random sign vectors for each network.",
)
@click.option(
    "--lanczos-steps",
    type=WholeNumber(min=0),
    default=50,
    show_default=True,
    metavar="K",
    help="The resolution is about 0.8 / K of the largest singular value; 0: moments only.",
)
@click.option(
    "--lanczos-vectors",
    type=WholeNumber(min=1),
    help="How many of the vectors make Lanczos steps; default: all.",
)
@click.option(
    "--no-reorthogonalization",
    is_flag=True,
    help="Keep no Lanczos vectors: less memory, and bounds that are no longer strict.",
)
@click.option("--seed", type=WholeNumber(min=0), default=0, show_default=True)
@click.option("--tied", is_flag=True, help="Keep one W, V and b for all steps.")
@click.option(
    "--workers", type=WholeNumber(min=1), help="Vectors worked on at once; default: all cores."
)
@device_option
@dtype_option
@click.option("--law", "with_law", is_flag=True, help="Solve for the limiting law and compare.")
@click.option(
    "--sites",
    type=WholeNumber(min=16, max=1_000_000),
    default=4096,
    show_default=True,
    help="Of the limiting law.",
)
@click.option("--figure", type=click.Path(path_type=Path), help="Draw density and cdf.")
@json_option
def lanczos_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: int,
    weights: Any,
    width: int,
    samples: int,
    vectors: int,
    lanczos_steps: int,
    lanczos_vectors: int | None,
    no_reorthogonalization: bool,
    seed: int,
    tied: bool,
    workers: int | None,
    device: Any,
    dtype: Any,
    with_law: bool,
    sites: int,
    figure: Path | None,
    json_path: str | None,
) -> None:
    """Sample moments and singular values of wide networks without forming a product.

    Random vectors are sent through the product and its transpose.  The moments stand beside the
    theory on the drawn sites; the spectrum comes with bounds, and says at which resolution.
    """
    prepare_json(json_path)
    keep_freed_memory()
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)
    if (with_law or figure) and not lanczos_steps:
        raise click.UsageError("--law and --figure need --lanczos-steps above 0")

    from rmt_jacobian.comparison import compare_lanczos
    from rmt_jacobian.pencils import singular_value_law
    from rmt_jacobian.plotting import check_figure_path, lanczos_figure, save_figure
    from rmt_jacobian.sampling import ensemble_of, sample_matrix_free

    if figure is not None:
        check_figure_path(figure)
    sample = sample_matrix_free(
        found_cell,
        parameters,
        weights=weights,
        steps=steps,
        width=width,
        samples=samples,
        vectors=vectors,
        lanczos_steps=lanczos_steps,
        lanczos_vectors=lanczos_vectors,
        reorthogonalize=not no_reorthogonalization,
        seed=seed,
        tied=tied,
        workers=workers,
        progress=True,
        device=device,
        dtype=dtype,
    )
    law = comparison = None
    if with_law and sample.spectrum is not None:
        law = singular_value_law(
            found_cell, parameters, weights=ensemble_of(weights), steps=steps, sites=sites,
            seed=seed, progress=True,
        )  # fmt: skip
        comparison = compare_lanczos(
            law, sample.spectrum, states=len(found_cell.states), law_error=law.error_estimate
        )
    say(describe(found_cell, parameters), json_path)
    for line in _moment_lines(sample.moments):
        say(line, json_path)
    results = _moments(sample.moments)
    if sample.spectrum is not None:
        for line in _spectrum_lines(sample.spectrum):
            say(line, json_path)
        results |= _spectrum(sample.spectrum)
    if law is not None and comparison is not None:
        say(_comparison_line(comparison, tied), json_path)
        results["law"] = _law(law, comparison, results["s"])
    if figure is not None and sample.spectrum is not None:
        title = f"{found_cell.name}, {weights} W, T = {steps}, N = {width}"
        save_figure(lanczos_figure(sample.spectrum, title, law=law), figure)
        say(f"wrote {figure}", json_path)
    settings = {
        **cell_settings(found_cell, parameters),
        "weights": weights,
        "steps": steps,
        "width": width,
        "samples": samples,
        "vectors": vectors,
        "lanczos_steps": lanczos_steps,
        "seed": seed,
        "tied": tied,
        "device": device,
        "dtype": dtype,
        "version": __version__,
    }
    write_json(json_path, {**settings, **results})


def _moments(found: "MatrixFreeMoments") -> dict[str, Any]:
    return {
        **{name: list(value) for name, value in found.estimate().items()},
        "paired_mean": _listed(found.paired_mean),
        "paired_second_moment": _listed(found.paired_second_moment),
        "ratio_to_paired": {name: list(v) for name, v in found.ratio_to_paired().items()},
    }


def _moment_lines(found: "MatrixFreeMoments") -> list[str]:
    estimate, ratio = found.estimate(), found.ratio_to_paired()
    lines = []
    for name, label in (("mean", "mean of J J^T"), ("second_moment", "second moment of J J^T")):
        (value, error), (quotient, its_error) = estimate[name], ratio[name]
        lines.append(
            f"{label:<23} {value:.6g} ± {error:.2g}; over theory on the drawn sites "
            f"{quotient:.5f} ± {its_error:.1g}"
        )
    if found.tied:
        lines.append("the theory on the drawn sites is that of untied weights")
    return lines


def _grid(spectrum: "LanczosSpectrum") -> "np.ndarray":
    import numpy as np

    return np.linspace(0.0, spectrum.scale, _POINTS)


def _spectrum(found: "LanczosSpectrum") -> dict[str, Any]:
    s = _grid(found)
    cdf, cdf_error = found.cdf_with_error(s)
    lower, upper = found.cdf_bounds(s)
    density, density_error = found.density_with_error(s)
    order = min(4, 2 * found.steps)
    moments, errors = found.moments(order)
    return {
        "s": _listed(s),
        "cdf": _listed(cdf),
        "cdf_error": _listed(cdf_error),
        "cdf_lower": _listed(lower),
        "cdf_upper": _listed(upper),
        "density": _listed(density),
        "density_error": _listed(density_error),
        "resolution": _listed(found.smoothed().resolution(s)),
        "wasserstein_bound": found.wasserstein_bound,
        "largest": [found.ritz_value, found.largest_bound],
        "moments": [[float(m), float(e)] for m, e in zip(moments, errors, strict=True)],
    }


def _spectrum_lines(found: "LanczosSpectrum") -> list[str]:
    resolution = float(found.smoothed().resolution(0.0))
    lower, upper = found.cdf_bounds(resolution)
    lines = [
        f"largest singular value  between {found.ritz_value:.6g} and {found.largest_bound:.6g} "
        "(risk 1e-3)",
        f"resolution in s         {resolution:.3g}; a fraction of {float(lower):.3f} to "
        f"{float(upper):.3f} lies below",
    ]
    order = min(4, 2 * found.steps)
    moments, errors = found.moments(order)
    for j in range(3, order + 1):
        lines.append(f"m_{j} by Lanczos          {moments[j]:.6g} ± {errors[j]:.2g}")
    return lines


def _law(law: "SingularValueLaw", found: "LanczosComparison", s: list[float]) -> dict[str, Any]:
    return {
        "cdf": _listed(law.cdf(s)),
        "edges": [list(interval) for interval in law.support_intervals()],
        "error_estimate": law.error_estimate,
        "ks": found.ks,
        "outside": found.outside,
        "null": found.null,
        "verdict": found.verdict,
    }


def _comparison_line(found: "LanczosComparison", tied: bool) -> str:
    kind = " (the law is untied)" if tied else ""
    return (
        f"limiting law{kind}: KS {found.ks:.2g} at this resolution, {found.outside:.2g} outside of "
        f"the bounds ({100 * found.quantile:g} % null {found.null:.2g}): {found.verdict}"
    )


def _listed(values: "np.ndarray") -> list[float]:
    return [float(value) for value in values]
