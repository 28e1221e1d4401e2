"""``rmt-jacobian lyapunov``: growth rates of long products, sampled and by theory."""

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

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.cells import Cell, Parameters
    from rmt_jacobian.pencils import LyapunovExponents
    from rmt_jacobian.sampling import LyapunovSamples

__all__ = ["lyapunov_command"]

_SHOWN = 9  # rows of the table for the reader
_EXACT = 1e-12  # errors below it are rounding
_SINGULAR = 1e14  # from this spread on the lowest exponents are rounding noise


@click.command("lyapunov")
@cell_argument()
@needs_parameters
@click.option(
    "--steps", type=WholeNumber(min=1, max=1_000_000), default=1000, show_default=True, metavar="T"
)
@click.option(
    "--transient",
    type=WholeNumber(min=0, max=1_000_000),
    help="Steps before those that count; default: a tenth of them.",
)
@click.option(
    "--exponents",
    type=WholeNumber(min=1),
    metavar="K",
    help="Only the K largest; default: all N of every state.",
)
@click.option("--weights", type=weights_choice, default="gaussian", show_default=True)
@sampling_options(samples=4, width=256, dtype=False)
@click.option(
    "--theory-only", "--no-sampling", is_flag=True, help="Do not sample; N sets the quantiles."
)
@click.option("--figure", type=click.Path(path_type=Path), help="Draw exponents and theory.")
@json_option
def lyapunov_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: int,
    transient: int | None,
    exponents: int | None,
    weights: Any,
    width: int,
    samples: int,
    seed: int,
    tied: bool,
    workers: int | None,
    device: Any,
    theory_only: bool,
    figure: Path | None,
    json_path: str | None,
) -> None:
    """Sample the Lyapunov exponents of products of Jacobians and compare with theory.

    Theory is Newman's law for cells without gates, and the wave of many steps for gated ones. A
    cell with several states has N exponents for each of them.
    """
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)
    most = len(found_cell.states) * width
    if exponents is not None and exponents > most:
        raise ParameterError(
            f"--exponents must be at most {len(found_cell.states)} times the width, {most}, "
            f"not {exponents}"
        )

    import numpy as np

    from rmt_jacobian.arrays import run_metadata
    from rmt_jacobian.pencils import lyapunov_exponents
    from rmt_jacobian.plotting import check_figure_path
    from rmt_jacobian.sampling import ensemble_of, sample_lyapunov

    if figure is not None:
        check_figure_path(figure)
    metadata = run_metadata(seed, device=device)  # refuses a GPU that is not there
    largest = _largest(found_cell, parameters)
    quantiles = (np.arange(exponents or most) + 0.5) / most
    theory, missing = None, ""
    try:
        theory = lyapunov_exponents(
            found_cell, parameters, weights=ensemble_of(weights), quantiles=quantiles
        )
    except (HypothesisError, ConvergenceError) as error:
        if theory_only:
            raise
        missing = str(error)
    sampled = None
    if not theory_only:
        sampled = sample_lyapunov(
            found_cell,
            parameters,
            weights=weights,
            steps=steps,
            width=width,
            samples=samples,
            exponents=exponents,
            transient=transient,
            seed=seed,
            tied=tied,
            workers=workers,
            progress=True,
            device=device,
        )
    found = _Exponents(quantiles, theory, missing, largest, sampled)
    if figure is not None:
        _draw(found, f"{found_cell.name}, {weights} W", figure)
    say(describe(found_cell, parameters), json_path)
    for line in [*found.lines(), *([f"wrote {figure}"] if figure else [])]:
        say(line, json_path)
    settings = {
        **cell_settings(found_cell, parameters),
        "weights": weights,
        "width": width,
        "seed": seed,
        "version": __version__,
        "metadata": metadata,
    }
    write_json(json_path, {**settings, **found.content()})


def _largest(cell: "Cell", parameters: "Parameters") -> float:
    """Return half the logarithm of the growth rate of a small change."""
    from rmt_jacobian.mean_field import untied_state
    from rmt_jacobian.pencils import largest_exponent

    return largest_exponent(untied_state(cell, parameters))


@dataclass(frozen=True)
class _Exponents:
    """Exponents by theory and sampled; None for what there is not."""

    quantiles: "np.ndarray"
    theory: "LyapunovExponents | None"
    missing: str
    largest: float
    sampled: "LyapunovSamples | None"

    @property
    def mean(self) -> "np.ndarray | None":
        return None if self.sampled is None else self.sampled.mean

    @property
    def standard_error(self) -> "np.ndarray | None":
        if self.sampled is None or self.sampled.exponents.shape[0] == 1:
            return None
        return self.sampled.standard_error

    def lines(self) -> list[str]:
        """Return a few exponents, from the largest to the smallest, and what to know of them."""
        columns = {
            "quantile": self.quantiles,
            "sampled": self.mean,
            "std. error": self.standard_error,
            "theory": self.theory and self.theory.exponents,
        }
        shown = {name: values for name, values in columns.items() if values is not None}
        last = self.quantiles.size - 1
        rows = sorted({round(k * last / (_SHOWN - 1)) for k in range(_SHOWN)})
        return [
            f"largest exponent by theory, (1/2) log chi_1: {self.largest:.6g}",
            "".join(f"{name:>12}" for name in shown),
            *("".join(f"{values[i]:>12.5f}" for values in shown.values()) for i in rows),
            *self.notes(),
        ]

    def notes(self) -> list[str]:
        """Return what keeps theory and samples apart."""
        import numpy as np

        notes = [f"no theory of all exponents: {self.missing}"] if self.missing else []
        if self.theory is not None and (error := float(self.theory.errors.max())) > _EXACT:
            notes.append(f"theory is on drawn sites: standard error up to {error:.1g}")
        if self.theory is not None and np.isneginf(self.theory.exponents).any():
            notes.append("J has not full rank: the lowest exponents are minus infinity")
        if self.sampled is not None and self.sampled.tied:
            notes.append("the networks keep one W; theory is that of untied weights")
        if self.sampled is not None and self.sampled.spread > _SINGULAR:
            notes.append("some steps are singular to rounding: the lowest exponents are noise")
        return notes

    def content(self) -> dict[str, Any]:
        """Return the exponents as plain data."""
        found = self.sampled
        settings = found and {
            "steps": found.steps,
            "transient": found.transient,
            "samples": found.exponents.shape[0],
            "tied": found.tied,
            "spread": found.spread,
        }
        return {
            "sampling": settings,
            "quantile": self.quantiles.tolist(),
            "exponents": _listed(self.mean),
            "standard_error": _listed(self.standard_error),
            "theory": _listed(self.theory and self.theory.exponents),
            "theory_error": _listed(self.theory and self.theory.errors),
            "largest_theory": self.largest,
        }


def _listed(values: "np.ndarray | None") -> list[float] | None:
    return None if values is None else values.tolist()


def _draw(found: _Exponents, title: str, path: Path) -> None:
    from rmt_jacobian.plotting import lyapunov_figure, save_figure

    sampled = found.sampled
    if sampled is not None:
        title += (
            f"{', tied' * sampled.tied}, T = {sampled.steps}, N = {sampled.width}, "
            f"{sampled.exponents.shape[0]} networks"
        )
    figure = lyapunov_figure(
        found.quantiles,
        title,
        sampled=found.mean,
        standard_error=found.standard_error,
        theory=found.theory and found.theory.exponents,
        largest_theory=found.largest,
    )
    save_figure(figure, path)
