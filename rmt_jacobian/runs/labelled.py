"""The results of a store as a dataset of named dimensions."""

from collections.abc import Mapping
from inspect import getdoc
from typing import Any

import numpy as np

from rmt_jacobian.datasets import Labelled, dataset
from rmt_jacobian.runs.layout import STATUS, Layout
from rmt_jacobian.runs.quantities import Point

__all__ = ["store_dataset"]

_DIMENSIONS = {"sample": "network", "index": "value"}  # as samples call them
_MEANINGS = {
    "singular_values": "singular values of J_T ... J_1, largest first",
    "log_singular_values": "natural logarithms of singular values",
    "log_errors": "estimates of the absolute errors of log_singular_values",
    STATUS: "0 missing, 1 finished, 2 unconverged, 3 undefined",
}
_UNITS = {STATUS: "", "timescale": "step"}


def store_dataset(
    layout: Layout, results: Mapping[str, np.ndarray], settings: Mapping[str, Any]
) -> Any:
    """Return an ``xarray.Dataset`` over the grid, the networks at a point, and their values.

    Parameters
    ----------
    layout
        Of the store: the axes of its grid are dimensions by the names of their parameters.
    results
        By name; nan where there is none.
    settings
        What was asked for.

    Examples
    --------
    >>> layout = Layout({"weight_std": 2}, {"chi_1": {}}, {"weight_std": (1.0, 1.5)})
    >>> found = store_dataset(layout, {"chi_1": np.array([0.5, 0.9])}, {"cell": "vanilla"})
    >>> float(found["chi_1"].sel(weight_std=1.5))
    0.9
    """
    stored = layout.metadata()

    def labelled(name: str, values: Any) -> Labelled:
        dimensions: list[str] = stored[name]["dimension_names"]
        named = [_DIMENSIONS.get(each, each) for each in dimensions]
        return Labelled(named, values, _meaning(name), _UNITS.get(name, "1"))

    return dataset(
        {name: labelled(name, values) for name, values in results.items()},
        {name: labelled(name, values) for name, values in layout.coordinates.items()},
        settings,
    )


def _meaning(name: str) -> str:
    """Return what a result is: of a quantity of the theory, the first line of its docstring."""
    if name in _MEANINGS:
        return _MEANINGS[name]
    return (getdoc(getattr(Point, name, None)) or f"hyperparameter {name}").splitlines()[0]
