"""What a sample was asked for, and samples as datasets of named dimensions."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, cell_named
from rmt_jacobian.datasets import Labelled, dataset
from rmt_jacobian.errors import ParameterError

__all__ = ["SampledValues", "sample_dataset", "settings_of"]


def settings_of(cell: Cell, parameters: Parameters, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked for by name, as JSON would hold it.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    asked
        The rest.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> settings_of(vanilla, Parameters.of(vanilla), {"steps": 2})["biases"]
    'redrawn'
    """
    content = {
        "cell": cell.name,
        **{name: _named(value) for name, value in asked.items()},
        "inputs": parameters.input_kind,
        "biases": parameters.bias_kind,
        "parameters": parameters.named(),
    }
    if not _is_known(cell):  # the name alone does not say what it is
        content["equations"] = _equations(cell)
    return content


def _named(value: Any) -> Any:
    """Return the name of a namespace, and what a seed that is no number is made of."""
    if isinstance(value, ModuleType):
        return value.__name__
    return str(value) if isinstance(value, np.random.Generator | np.random.SeedSequence) else value


def _is_known(cell: Cell) -> bool:
    try:
        own = cell.symbolic.constants if cell.symbolic else ()
        return cell_named(cell.name).at([(c.name, c.typical) for c in own]) == cell
    except ParameterError:
        return False


def _equations(cell: Cell) -> dict[str, str]:
    sources = {each.name: str(each.source) for each in cell.preactivations}
    updates = {str(s): str(f) for s, f in zip(cell.states, cell.updates, strict=True)}
    return {**{f"source of {name}": text for name, text in sources.items()}, **updates}


def sample_dataset(
    variables: Mapping[str, Labelled],
    settings: Mapping[str, Any],
    *,
    steps: int | Sequence[int] = 1,
    coordinates: Mapping[str, Labelled] | None = None,
) -> Any:
    """Return an ``xarray.Dataset`` over networks, steps and values.

    Parameters
    ----------
    variables
        By name.
    settings
        As :func:`settings_of` returns them.
    steps
        T: a coordinate, along its dimension if there are several.
    coordinates
        More of them.
    """
    several = [] if np.ndim(steps) == 0 else ["step"]
    return dataset(
        variables,
        {"step": Labelled(several, steps, "number of steps T"), **(coordinates or {})},
        settings,
    )


class SampledValues(np.ndarray):
    """An array of sampled values that can say what it is a sample of.

    It is an array like any other, and so is what is computed from it; :meth:`to_xarray` alone is
    more, and holds for the whole array.

    Attributes
    ----------
    settings
        What was asked for, by name; None for a part of an array.

    Examples
    --------
    >>> values = SampledValues.of(np.ones((2, 3)), "eigenvalues", {"cell": "gru"}, meaning="ones")
    >>> values.settings, type(values + 1).__name__, values[0].settings is None
    ({'cell': 'gru'}, 'ndarray', True)
    """

    settings: Mapping[str, Any] | None = None
    _told: tuple[str, str, int] = ("", "", 1)

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        name: str,
        settings: Mapping[str, Any],
        *,
        meaning: str,
        steps: int = 1,
    ) -> "SampledValues":
        """Return values of shape (networks, values) with their name and settings."""
        found = np.asarray(values).view(cls)
        found.settings, found._told = dict(settings), (name, meaning, steps)
        return found

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return what was computed as an ordinary array."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __repr__(self) -> str:
        """Show the values."""
        return repr(np.asarray(self))

    def __reduce__(self) -> Any:
        """Keep what was asked for."""
        (name, meaning, steps), plain = self._told, np.array(self)
        if self.settings is None:
            return plain.__reduce__()
        return _remade, (plain, name, dict(self.settings), meaning, steps)

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset`` with the dimensions network and value.

        Its attributes are what was asked for.

        Raises
        ------
        ParameterError
            If this is a part of what was sampled, or xarray is not installed.
        """
        if self.settings is None:
            raise ParameterError(
                "to_xarray is asked of all that was sampled, and not of a part: call it first, and "
                "select from what it returns"
            )
        name, meaning, steps = self._told
        found = {name: Labelled(["network", "value"], self, meaning)}
        return sample_dataset(found, self.settings, steps=steps)


def _remade(
    plain: np.ndarray, name: str, settings: dict[str, Any], meaning: str, steps: int
) -> SampledValues:
    return SampledValues.of(plain, name, settings, meaning=meaning, steps=steps)
