"""``rmt-jacobian freeness``: are successive Jacobians free, over the scalars or the diagonal."""

from typing import Any

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
    say,
    weights_choice,
    write_json,
)

__all__ = ["freeness_command"]

_whole = WholeNumber(min=1, max=100_000)


@click.command("freeness")
@cell_argument()
@needs_parameters
@click.option("--steps", type=WholeNumber(min=2, max=10_000), default=10, show_default=True,
              metavar="T")  # fmt: skip
@click.option("--weights", type=weights_choice, default="gaussian", show_default=True)
@click.option("--width", type=_whole, default=256, show_default=True, help="Number of sites N.")
@click.option("--samples", type=WholeNumber(min=2, max=100_000), default=32, show_default=True,
              help="Number of networks, untied and tied each.")  # fmt: skip
@click.option("--seed", type=WholeNumber(min=0), default=0, show_default=True)
@click.option("--workers", type=_whole, help="Networks run at once; default: all cores.")
@json_option
def freeness_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: int,
    weights: Any,
    width: int,
    samples: int,
    seed: int,
    workers: int | None,
    json_path: str | None,
) -> None:
    """Test whether the Jacobians of successive steps are free.

    Free over the scalars, or over the diagonal; for cells of d states over the d x d matrices of
    the sites in place of the diagonal.

    Networks with fresh weights at every step are tested beside networks that keep them.
    """
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)

    from rmt_jacobian.arrays import run_metadata
    from rmt_jacobian.comparison import freeness_of_cell

    found = freeness_of_cell(
        found_cell,
        parameters,
        weights=weights,
        steps=steps,
        width=width,
        samples=samples,
        seed=seed,
        workers=workers,
        progress=True,
    )
    say(describe(found_cell, parameters), json_path)
    say(f"{samples} networks of width {width} of either kind, {weights} W, T = {steps}", json_path)
    say(f"\n{found}\n", json_path)
    notes = _NOTES if found.untied.states == 1 else (*_NOTES, _SITE_MATRICES)
    for note in notes:
        say(note, json_path)
    settings = {
        **cell_settings(found_cell, parameters),
        "weights": weights,
        "steps": steps,
        "width": width,
        "samples": samples,
        "seed": seed,
        "version": __version__,
        "metadata": run_metadata(seed),
    }
    results = {"untied": found.untied.content(), "tied": found.tied.content()}
    write_json(json_path, {**settings, **results})


_NOTES = (
    "Factors are scaled to tau(J J^T) = 1; predictions are made from the factors of each sample.",
    "z is (sampled - predicted) in standard errors and finite-width corrections; 4 rejects.",
)
_SITE_MATRICES = (
    "Site matrices mix the states of a site, but no sites: W that serve several states leave the "
    "factors free over these at most."
)
