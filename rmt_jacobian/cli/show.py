"""``rmt-jacobian show``: what the store of a run holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import json_option, prepare_json, say, write_json
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.runs import RunStore

__all__ = ["check_figure", "report_store", "show_command"]

_SHOWN = 12  # points of a grid in the table for the reader
_SHORT = 24  # values of an axis that are written out


@click.command("show")
@click.argument("store", metavar="PATH", type=click.Path(path_type=Path))
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="Draw maps over the grid, or a histogram of the singular values.",
)
@json_option
def show_command(store: Path, figure: Path | None, json_path: str | None) -> None:
    """Show how far a run is, what it has found, and how it was specified."""
    prepare_json(json_path)

    from rmt_jacobian.runs import open_store

    opened = open_store(store)
    check_figure(figure, len(opened.specification["grid"]))
    report_store(opened, json_path, figure)


def check_figure(figure: Path | None, axes: int) -> None:
    """Refuse a figure that could not be drawn or written later."""
    if figure is None:
        return
    from rmt_jacobian.plotting import check_figure_path

    check_figure_path(figure)
    if axes > 2:
        raise ParameterError(
            f"a grid of {axes} axes cannot be drawn: read the store with xarray.open_zarr and "
            "choose a slice"
        )


def report_store(store: "RunStore", json_path: str | None, figure: Path | None) -> None:
    """Print what a store holds, draw it, and write it as JSON."""
    from rmt_jacobian.runs import summary

    found = summary(store)
    for line in (*_heading(store), *_results(store)):
        say(line, json_path)
    unit = "sample" if "samples" in store.specification else "point"
    say(f"finished {found.finished} of {found.samples} {unit}s", json_path)
    for count, why in ((found.unconverged, "a solver did not converge"),
                       (found.undefined, "there is none")):  # fmt: skip
        if count:
            say(f"without an answer at {count} of them: {why}", json_path)
    say(f"checksum {found.checksum}", json_path)
    if figure is not None:
        _draw(store, figure)
        say(f"wrote {figure}", json_path)
    write_json(
        json_path,
        {
            "finished": found.finished,
            "samples": found.samples,
            "unconverged": found.unconverged,
            "undefined": found.undefined,
            "checksum": found.checksum,
            "metadata": found.metadata,
        },
    )


def _heading(store: "RunStore") -> list[str]:
    settings = store.specification
    named = ", ".join(f"{name} = {value:g}" for name, value in settings["parameters"].items()
                      if name not in settings["grid"])  # fmt: skip
    lines = [f"{settings['cell']}: {named}"]
    for name, values in settings["grid"].items():
        written = ", ".join(f"{value:g}" for value in values)
        if len(written) > _SHORT:
            written = f"{values[0]:g} to {values[-1]:g}, {len(values)} values"
        lines.append(f"{name}: {written}")
    lines.append(_title(settings))
    return lines


def _title(settings: Any) -> str:
    start = f"{settings['weights']} W, T = {settings['steps']}"
    if settings["quantity"] == "spectrum":
        tied = ", tied" if settings["tied"] else ""
        return f"{start}, N = {settings['width']}{tied}, seed {settings['seed']}"
    return f"{start}, {settings['sites']} sites, {settings['dynamics']}"


def _results(store: "RunStore") -> list[str]:
    import numpy as np

    from rmt_jacobian.runs import maps, spectrum_moments

    if store.specification["grid"] or store.specification["quantity"] != "spectrum":
        return _table(store.specification["grid"], maps(store))
    found = spectrum_moments(store)
    if not found.samples:
        return []
    with np.errstate(over="ignore"):
        return [
            f"largest singular value  {np.exp(found.log_largest):.6g}",
            f"mean of J J^T           {np.exp(found.log_mean):.6g}",
            f"second moment of J J^T  {np.exp(found.log_second_moment):.6g}",
        ]


def _table(grid: "dict[str, list[float]]", values: "dict[str, np.ndarray]") -> list[str]:
    """Return a table of some points, evenly chosen."""
    import numpy as np

    names = [*grid, *values]
    shape = tuple(map(len, grid.values()))
    points = list(np.ndindex(shape))
    step = max(1, -(-len(points) // _SHOWN))
    lines = ["  ".join(f"{name:>18}" for name in names)]
    for point in points[::step]:
        row = [along[i] for along, i in zip(grid.values(), point, strict=True)]
        row += [float(each[point]) for each in values.values()]
        lines.append("  ".join(f"{number:>18.8g}" for number in row))
    return lines


def _draw(store: "RunStore", figure: Path) -> None:
    from rmt_jacobian.plotting import save_figure, spectrum_figure, sweep_figure
    from rmt_jacobian.runs import maps

    settings = store.specification
    title = f"{settings['cell']}, {_title(settings)}"
    if settings["grid"]:
        save_figure(sweep_figure(settings["grid"], maps(store), title), figure)
        return
    (name, *_) = store.layout.results
    if name != "singular_values":
        raise ParameterError(
            "only singular values, or quantities over a grid, can be drawn: leave out --figure"
        )
    status = store.status()
    finished = store.values(name, status)[status == 1]
    if not len(finished):
        raise ParameterError("no sample is finished, there is nothing to draw: resume the run")
    save_figure(spectrum_figure(finished, title), figure)
