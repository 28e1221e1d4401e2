"""``rmt-jacobian show``: what the store of a run holds."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import OUTPUT
from rmt_jacobian.cli.request import Request, command, cut
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.runs import RunStore

__all__ = ["check_figure", "report_store", "show_command"]

_SHOWN = 40  # points of a grid in the table for the reader
_SHORT = 24  # values of an axis that are written out


@command(
    "show",
    click.argument("store", metavar="PATH", type=OUTPUT),
    figure="Draw maps over the grid, or a histogram of the singular values.",
    table="all points of the grid",
)
def show_command(request: Request) -> None:
    """Show how far a run is, what it has found, and how it was specified."""
    from rmt_jacobian.runs import open_store

    opened = open_store(request.options.store)
    check_figure(request.options.figure, len(opened.specification["grid"]))
    report_store(request, opened)


def check_figure(figure: Path | None, axes: int) -> None:
    """Refuse a figure that could not be drawn later."""
    if figure is not None and axes > 2:
        raise ParameterError(
            f"a grid of {axes} axes cannot be drawn: read the store with xarray.open_zarr and "
            "choose a slice"
        )


def report_store(request: Request, store: "RunStore") -> None:
    """Print what a store holds, draw it, and write it as JSON and as a table."""
    from rmt_jacobian.runs import summary

    found, table = summary(store), _columns(store)
    request.say(*_heading(store), *_results(store, table))
    unit = "sample" if "samples" in store.specification else "point"
    request.say(f"finished {found.finished} of {found.samples} {unit}s")
    for count, why in ((found.unconverged, "a solver did not converge"),
                       (found.undefined, "there is none")):  # fmt: skip
        if count:
            request.say(f"without an answer at {count} of them: {why}")
    request.say(f"checksum {found.checksum}")
    request.draw(lambda: _figure(store))
    content = {
        "finished": found.finished,
        "samples": found.samples,
        "unconverged": found.unconverged,
        "undefined": found.undefined,
        "checksum": found.checksum,
        "metadata": found.metadata,
        "table": table,
    }
    request.write(content, table, settings={})


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


def _columns(store: "RunStore") -> "dict[str, list[float]]":
    """Return the axes and the quantities, one row for every point of the grid."""
    import numpy as np

    from rmt_jacobian.runs import maps, spectrum_moments

    grid = store.specification["grid"]
    if grid or store.specification["quantity"] != "spectrum":
        values = maps(store)
    else:
        found = spectrum_moments(store)
        with np.errstate(over="ignore"):
            values = {
                "largest": np.exp(found.log_largest),
                "mean": np.exp(found.log_mean),
                "second_moment": np.exp(found.log_second_moment),
            }
    axes = np.meshgrid(*map(np.asarray, grid.values()), indexing="ij")
    columns = {**dict(zip(grid, axes, strict=True)), **values}
    return {name: np.ravel(each).astype(float).tolist() for name, each in columns.items()}


_TITLES = {
    "largest": "largest singular value",
    "mean": "mean of J J^T",
    "second_moment": "second moment of J J^T",
}


def _results(store: "RunStore", table: "dict[str, list[float]]") -> list[str]:
    if not store.specification["grid"] and store.specification["quantity"] == "spectrum":
        return [f"{_TITLES[name]:<24}{value:.6g}" for name, (value,) in table.items()
                if not math.isnan(value)]  # fmt: skip
    rows = list(zip(*table.values(), strict=True))
    step = max(1, -(-len(rows) // _SHOWN))
    return [
        "  ".join(f"{name:>18}" for name in table),
        *("  ".join(f"{number:>18.8g}" for number in row) for row in rows[::step]),
        *cut(len(rows[::step]), len(rows), "points"),
    ]


def _figure(store: "RunStore") -> Any:
    from rmt_jacobian.plotting import spectrum_figure, sweep_figure
    from rmt_jacobian.runs import maps

    settings = store.specification
    title = f"{settings['cell']}, {_title(settings)}"
    if settings["grid"]:
        return sweep_figure(settings["grid"], maps(store), title)
    (name, *_) = store.layout.results
    if name != "singular_values":
        raise ParameterError(
            "only singular values, or quantities over a grid, can be drawn: leave out --figure"
        )
    status = store.status()
    finished = store.values(name, status)[status == 1]
    if not len(finished):
        raise ParameterError("no sample is finished, there is nothing to draw: resume the run")
    return spectrum_figure(finished, title)
