"""Results as datasets of xarray, a package that is imported when one is asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["Labelled", "dataset"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """An array with the names of its dimensions, and what it holds.

    Attributes
    ----------
    dimensions
        One name for each.
    values
        The array.
    meaning
        In a few words.
    units
        ``"1"`` for pure numbers, ``""`` for what has none.
    """

    dimensions: Sequence[str]
    values: Any
    meaning: str = ""
    units: str = "1"


def dataset(
    variables: Mapping[str, Labelled],
    coordinates: Mapping[str, Labelled],
    settings: Mapping[str, Any],
) -> Any:
    """Return an ``xarray.Dataset``.

    Parameters
    ----------
    variables, coordinates
        By name.
    settings
        What was asked for: the attributes of the dataset.  Attributes of files are numbers, texts
        and lists of these, so that a mapping is written as JSON, and what is None is left out.

    Raises
    ------
    ParameterError
        If xarray is not installed.

    Examples
    --------
    >>> found = dataset({"s": Labelled(["network"], [1.0, 2.0], "singular value")}, {},
    ...                 {"cell": "gru", "parameters": {"weight_std": 1.0}})
    >>> dict(found.sizes), found.attrs["parameters"], found["s"].attrs["units"]
    ({'network': 2}, '{"weight_std": 1.0}', '1')
    """
    try:
        import xarray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ParameterError(
            "to_xarray needs xarray: pip install 'rmt-jacobian[xarray]'"
        ) from error
    plain = {name: _attribute(value) for name, value in settings.items() if value is not None}
    return xarray.Dataset(
        {name: _variable(each) for name, each in variables.items()},
        {name: _variable(each) for name, each in coordinates.items()},
        plain,
    )


def _variable(labelled: Labelled) -> tuple[list[str], np.ndarray, dict[str, str]]:
    told = {"long_name": labelled.meaning, "units": labelled.units}
    attributes = {name: text for name, text in told.items() if text}
    return list(labelled.dimensions), np.asarray(labelled.values), attributes


def _attribute(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | int | float):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, list | tuple) and not any(isinstance(each, Mapping) for each in value):
        return [_attribute(each) for each in value]
    return json.dumps(value, default=str)
