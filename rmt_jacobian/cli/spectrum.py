"""``rmt-jacobian spectrum``: singular values of sampled products of Jacobians."""

import json
from dataclasses import dataclass
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
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.files import check_writable, write_whole

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.cells import Cell, Parameters
    from rmt_jacobian.pencils import LyapunovExponents
    from rmt_jacobian.sampling import LogSpectra

__all__ = ["spectrum_command"]

_QUANTILES = 400  # at which the law of a figure is solved


@click.command("spectrum")
@cell_argument()
@needs_parameters
@click.option(
    "--steps", type=WholeNumber(min=1, max=100_000), default=1, show_default=True, metavar="T"
)
@click.option("--weights", type=weights_choice, default="gaussian", show_default=True)
@sampling_options(samples=16)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.npz",
    help="Where the singular values go: array singular_values, or log_singular_values and their "
    "errors, shape (samples, N).",
)
@click.option(
    "--log",
    is_flag=True,
    help="Logarithms of all singular values, accurate however far they are apart: for many steps.",
)
@click.option("--figure", type=click.Path(path_type=Path), help="Also draw a histogram.")
@json_option
def spectrum_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: int,
    weights: Any,
    width: int,
    samples: int,
    seed: int,
    tied: bool,
    workers: int | None,
    device: Any,
    dtype: Any,
    out: Path,
    log: bool,
    figure: Path | None,
    json_path: str | None,
) -> None:
    """Sample the singular values of T-step products of Jacobians."""
    prepare_json(json_path)
    if out.suffix != ".npz":
        raise ParameterError(f"--out must end in .npz, not {out.name!r}")
    check_writable(out)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)

    import numpy as np

    from rmt_jacobian.arrays import run_metadata
    from rmt_jacobian.plotting import check_figure_path, save_figure

    if figure is not None:
        check_figure_path(figure)
    if log and dtype != "float64":
        raise ParameterError("--log works in double precision: leave out --dtype")
    found = (_LogValues if log else _Values).sampled(
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
        **({} if log else {"dtype": dtype}),
    )
    settings = {
        **cell_settings(found_cell, parameters),
        "weights": weights,
        "steps": steps,
        "width": width,
        "samples": samples,
        "seed": seed,
        "tied": tied,
        "version": __version__,
        "metadata": run_metadata(seed, device=device, dtype=dtype),
    }
    metadata = np.array(json.dumps(settings))
    write_whole(out, lambda file: np.savez(file, **found.arrays(), metadata=metadata))
    if figure is not None:
        title = f"{found_cell.name}, {weights} W{', tied' * tied}, T = {steps}"
        theory = None
        if log and not tied:
            theory = _limiting_exponents(found_cell, parameters, weights)
        save_figure(found.figure(title, theory), figure)
    results = found.results()
    say(describe(found_cell, parameters), json_path)
    for name, value in results.items():
        say(f"{_TITLES[name]:<{found.indent}}{value:.6g}", json_path)
    say(f"wrote {out}{f' and {figure}' if figure else ''}", json_path)
    write_json(json_path, {**settings, **results})


_TITLES = {
    "largest": "largest singular value",
    "median": "median singular value",
    "mean": "mean of J J^T",
    "second_moment": "second moment of J J^T",
    "largest_log": "largest log s",
    "median_log": "median log s",
    "smallest_log": "smallest log s that is resolved",
    "zeros": "exact zeros",
    "unresolved": "not resolved",
    "largest_error": "largest estimated error of log s",
}


@dataclass(frozen=True)
class _Values:
    """Singular values as they stand."""

    values: "np.ndarray"
    indent = 24

    @classmethod
    def sampled(cls, *arguments: Any, **options: Any) -> "_Values":
        from rmt_jacobian.sampling import sample_singular_values

        return cls(sample_singular_values(*arguments, **options))

    def arrays(self) -> dict[str, Any]:
        return {"singular_values": self.values}

    def figure(self, title: str, _: Any) -> Any:
        from rmt_jacobian.plotting import spectrum_figure

        return spectrum_figure(self.values, title)

    def results(self) -> dict[str, float]:
        import numpy as np

        squares = self.values**2
        return {
            "largest": float(self.values.max()),
            "median": float(np.median(self.values)),
            "mean": float(squares.mean()),
            "second_moment": float((squares**2).mean()),
        }


@dataclass(frozen=True)
class _LogValues:
    """Logarithms of singular values, with their errors."""

    found: "LogSpectra"
    indent = 34

    @classmethod
    def sampled(cls, *arguments: Any, **options: Any) -> "_LogValues":
        from rmt_jacobian.sampling import sample_log_singular_values

        return cls(sample_log_singular_values(*arguments, **options))

    def arrays(self) -> dict[str, Any]:
        return {"log_singular_values": self.found.values, "errors": self.found.errors}

    def figure(self, title: str, theory: "LyapunovExponents | None") -> Any:
        from rmt_jacobian.plotting import log_spectrum_figure

        if theory is None:
            return log_spectrum_figure(self.found, title)
        return log_spectrum_figure(
            self.found, title, quantiles=theory.quantiles, exponents=theory.exponents
        )

    def results(self) -> dict[str, float]:
        """Return a few of the values; those that are not known are left out."""
        import numpy as np

        resolved = self.found.resolved
        zeros = np.isneginf(self.found.values)
        known = self.found.values[resolved & ~zeros]
        results: dict[str, float] = {}
        if known.size:
            results["largest_log"] = float(known.max())
            results["smallest_log"] = float(known.min())
            results["largest_error"] = float(self.found.errors[resolved].max())
        median = float(np.median(self.found.values))
        if resolved.all() and np.isfinite(median):
            results["median_log"] = median
        return {**results, "zeros": int(zeros.sum()), "unresolved": int((~resolved).sum())}


def _limiting_exponents(
    cell: "Cell", parameters: "Parameters", weights: Any
) -> "LyapunovExponents | None":
    """Return the law that long products approach, if there is one in theory."""
    import numpy as np

    from rmt_jacobian.pencils import lyapunov_exponents
    from rmt_jacobian.sampling import ensemble_of

    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    try:
        return lyapunov_exponents(
            cell, parameters, weights=ensemble_of(weights), quantiles=quantiles
        )
    except (HypothesisError, ConvergenceError) as error:
        click.echo(f"the figure has no law: {error}", err=True)
        return None
