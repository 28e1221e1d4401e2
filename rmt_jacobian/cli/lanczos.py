"""``rmt-jacobian lanczos``: moments and spectra of products that are never formed."""

import math
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.allocation import keep_freed_memory
from rmt_jacobian.cli.options import (
    WholeNumber,
    device_option,
    dtype_option,
    seed_option,
    sites_option,
    steps_option,
    weights_choice,
)
from rmt_jacobian.cli.request import Request, command

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.comparison import LanczosComparison
    from rmt_jacobian.sampling import LanczosSpectrum, MatrixFreeMoments
    from rmt_jacobian.singular_values import SingularValueLaw

__all__ = ["lanczos_command"]

_POINTS = 400


@command(
    "lanczos",
    steps_option(100_000),
    click.option(
        "--weights",
        type=weights_choice,
        default="fast-orthogonal",
        show_default=True,
        help="The fast ones take O(N log N) for a product with W, the others N^2 and N^2 numbers "
        "each.",
    ),
    click.option(
        "--width",
        type=WholeNumber(min=2, max=1 << 28),
        default=16384,
        show_default=True,
        help="Number of sites N.",
    ),
    click.option(
        "--samples",
        type=WholeNumber(min=1, max=100_000),
        default=1,
        show_default=True,
        help="Number of networks.",
    ),
    click.option(
        "--vectors",
        type=WholeNumber(min=1, max=100_000),
        default=8,
        show_default=True,
        help="Random sign vectors for each network.",
    ),
    click.option(
        "--lanczos-steps",
        type=WholeNumber(min=0, max=100_000),
        default=50,
        show_default=True,
        metavar="K",
        help="The resolution is about 0.8 / K of the largest singular value; 0: moments only.",
    ),
    click.option(
        "--lanczos-vectors",
        type=WholeNumber(min=1, max=100_000),
        help="How many of the vectors make Lanczos steps; default: all.",
    ),
    click.option(
        "--no-reorthogonalization",
        is_flag=True,
        help="Keep no Lanczos vectors: less memory, and bounds that are no longer strict.",
    ),
    seed_option,
    click.option("--tied", is_flag=True, help="Keep one W, V and b for all steps."),
    click.option(
        "--workers",
        type=WholeNumber(min=1, max=100_000),
        help="Vectors worked on at once; default: all cores.",
    ),
    device_option,
    dtype_option,
    click.option("--law", "with_law", is_flag=True, help="Solve for the limiting law and compare."),
    sites_option(4096, text="Of the limiting law."),
    cell=True,
    figure="Draw density and cdf.",
    table="cdf and density",
)
def lanczos_command(request: Request) -> None:
    """Sample moments and singular values of wide networks without forming a product.

    Random vectors are sent through the product and its transpose.  The moments stand beside the
    theory on the drawn sites; the spectrum comes with bounds, and says at which resolution.
    """
    keep_freed_memory()
    asked = request.options
    if (asked.with_law or asked.figure or asked.csv) and not asked.lanczos_steps:
        raise click.UsageError("--law, --figure and --csv need --lanczos-steps above 0")

    if asked.lanczos_vectors is not None and asked.lanczos_vectors > asked.vectors:
        raise click.UsageError(
            f"--lanczos-vectors {asked.lanczos_vectors} are more than --vectors {asked.vectors}"
        )

    from rmt_jacobian.sampling import sample_matrix_free
    from rmt_jacobian.singular_values.shared import check_size

    if asked.tied and asked.with_law:
        check_size(asked.steps, sum(each.reads_state for each in request.point[0].preactivations))
    sample = sample_matrix_free(
        *request.point,
        vectors=asked.vectors,
        lanczos_steps=asked.lanczos_steps,
        lanczos_vectors=asked.lanczos_vectors,
        reorthogonalize=not asked.no_reorthogonalization,
        **request.sampling,
    )
    request.describe()
    request.say(*_moment_lines(sample.moments))
    results = _moments(sample.moments)
    if sample.spectrum is None:
        request.write(results)
        return
    request.say(*_spectrum_lines(sample.spectrum))
    results |= _spectrum(sample.spectrum)
    table = {name: results[name] for name in _COLUMNS}
    law = _solved(request) if asked.with_law else None
    if law is not None:
        comparison = _compared(request, law, sample.spectrum)
        request.say(_comparison_line(comparison, asked.tied))
        results["law"] = _law(law, comparison, results["s"])
    request.draw(lambda: _figure(request, law, sample.spectrum))
    request.write(results, table)


_COLUMNS = ("s", "cdf", "cdf_error", "cdf_lower", "cdf_upper", "density", "density_error",
            "resolution")  # fmt: skip


def _solved(request: Request) -> "SingularValueLaw":
    from rmt_jacobian.mean_field import stationary
    from rmt_jacobian.singular_values import singular_value_law

    asked = request.options
    if asked.tied:
        state = stationary(*request.point, dynamics="tied", progress=True)
    else:
        state = stationary(*request.point, progress=True)
    return singular_value_law(
        state, weights=request.ensemble, steps=asked.steps, sites=asked.sites,
        seed=asked.seed, progress=True,
    )  # fmt: skip


def _compared(
    request: Request, law: "SingularValueLaw", spectrum: "LanczosSpectrum"
) -> "LanczosComparison":
    from rmt_jacobian.comparison import compare_lanczos

    cell, _ = request.point
    return compare_lanczos(law, spectrum, states=len(cell.states), law_error=law.error_estimate)


def _figure(request: Request, law: "SingularValueLaw | None", spectrum: Any) -> Any:
    from rmt_jacobian.plotting import lanczos_figure

    asked, (cell, _) = request.options, request.point
    title = f"{cell.name}, {asked.weights} W, T = {asked.steps}, N = {asked.width}"
    return lanczos_figure(spectrum, title, law=law)


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
        known = math.isfinite(quotient)
        beside = (
            f"; over theory on the drawn sites {quotient:.5f} ± {its_error:.1g}" if known else ""
        )
        lines.append(f"{label:<23} {value:.6g} ± {error:.2g}{beside}")
    if found.tied and math.isfinite(ratio["mean"][0]):
        lines.append("the theory on the drawn sites is that of shared weights, of the mean alone")
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
    kind = " of shared weights" if tied else ""
    return (
        f"limiting law{kind}: KS {found.ks:.2g} at this resolution, {found.outside:.2g} outside of "
        f"the bounds ({100 * found.quantile:g} % null {found.null:.2g}): {found.verdict}"
    )


def _listed(values: "np.ndarray") -> list[float]:
    return [float(value) for value in values]
