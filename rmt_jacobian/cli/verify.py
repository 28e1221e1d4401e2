"""``rmt-jacobian verify``: every route to the moments of J J^T beside sampled networks."""

from pathlib import Path
from typing import Any

import click

from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
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

__all__ = ["verify_command"]

_FIGURE = "second_moment.png"


@click.command("verify")
@cell_argument(default="minimalrnn")
@needs_parameters
@click.option(
    "--steps",
    type=WholeNumber(min=1, max=100_000),
    multiple=True,
    default=(1, 2, 5, 10),
    show_default=True,
    help="Number of steps T; repeatable.",
)
@click.option(
    "--weights",
    type=weights_choice,
    multiple=True,
    default=("gaussian", "orthogonal"),
    show_default=True,
    help="Ensemble of W; repeatable.",
)
@click.option(
    "--spectra/--no-spectra",
    default=True,
    show_default=True,
    help="Compare singular values with their law too, at the largest T up to 20.",
)
@sampling_options(samples=64)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("rmt-report"),
    show_default=True,
    help="Folder for report.md, report.json and the figure.",
)
@json_option
def verify_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    steps: tuple[int, ...],
    weights: tuple[Any, ...],
    spectra: bool,
    width: int,
    samples: int,
    seed: int,
    tied: bool,
    workers: int | None,
    device: Any,
    dtype: Any,
    out: Path,
    json_path: str | None,
) -> None:
    """Compare printed, S-transform and exact moments of J J^T with sampled networks.

    For cells of several states or preactivations: the moments in the limit, on the drawn sites, and
    of steps that are free of each other.

    The singular values of 16 of the networks are compared with their law, too.

    Without arguments: the minimalRNN at the critical point of Figure 1 of Chen et al. (2018).
    """
    prepare_json(json_path)
    for name in ("report.md", "report.json", _FIGURE):
        check_writable(out / name)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)
    if samples < 2:
        raise ParameterError("--samples must be at least 2, or there is no standard error")

    from rmt_jacobian.comparison import to_json, to_markdown, to_text, verify
    from rmt_jacobian.plotting import save_figure, verification_figure

    found = verify(
        found_cell,
        parameters,
        weights=weights,
        steps=steps,
        width=width,
        samples=samples,
        seed=seed,
        tied=tied,
        spectra=spectra,
        workers=workers,
        progress=True,
        device=device,
        dtype=dtype,
    )
    content = to_json(found)
    save_figure(verification_figure(found), out / _FIGURE)
    write_json(str(out / "report.json"), content)
    report = to_markdown(found, figure=_FIGURE)
    write_whole(out / "report.md", lambda file: file.write(report.encode()))
    write_json(json_path, content)
    say(to_text(found), json_path)
    say(f"\nwrote {out / 'report.md'}, {out / 'report.json'} and {out / _FIGURE}", json_path)
