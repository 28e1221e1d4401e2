"""``rmt-jacobian spectrum``: singular values of sampled products of Jacobians."""

import json
from pathlib import Path
from typing import Any

import click

from rmt_jacobian import __version__
from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
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
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole

__all__ = ["spectrum_command"]


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
    help="Where the singular values go: array singular_values, shape (samples, N).",
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
    from rmt_jacobian.plotting import check_figure_path, save_figure, spectrum_figure
    from rmt_jacobian.sampling import sample_singular_values

    if figure is not None:
        check_figure_path(figure)
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
    settings = {
        "cell": found_cell.name,
        "parameters": parameters.named(),
        "inputs": inputs,
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
    write_whole(out, lambda file: np.savez(file, singular_values=values, metadata=metadata))
    if figure is not None:
        title = f"{found_cell.name}, {weights} W, T = {steps}"
        save_figure(spectrum_figure(values, title), figure)
    squares = values**2
    results = {
        "largest": float(values.max()),
        "median": float(np.median(values)),
        "mean": float(squares.mean()),
        "second_moment": float((squares**2).mean()),
    }
    say(describe(found_cell, parameters), json_path)
    say(f"largest singular value  {results['largest']:.6g}", json_path)
    say(f"median singular value   {results['median']:.6g}", json_path)
    say(f"mean of J J^T           {results['mean']:.6g}", json_path)
    say(f"second moment of J J^T  {results['second_moment']:.6g}", json_path)
    say(f"wrote {out}{f' and {figure}' if figure else ''}", json_path)
    write_json(json_path, {**settings, **results})
