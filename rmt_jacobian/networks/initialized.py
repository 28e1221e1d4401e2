"""Initialisations of layers of any library, and what they do to gradients."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, get_args

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.known import known_point
from rmt_jacobian.networks.drawn import Draws, Recipe, StackedArrays
from rmt_jacobian.networks.network import Network
from rmt_jacobian.networks.trajectory import Trajectory

__all__ = [
    "STEPS",
    "InitializedLayer",
    "InitializedModule",
    "Place",
    "Scheme",
    "check_scheme",
    "growth_of",
    "initialize_layers",
    "recipe_of",
]

Scheme: TypeAlias = Literal["critical", "untied-critical", "chrono", "keras", "pytorch"]
"""Critical for shared weights or for fresh ones, or what is usual."""

STEPS = 100
"""The longest dependence, and the horizon that growth is measured over."""

_TRANSIENT, _DIRECTIONS = 100, 32  # steps before, and random gradients of the measurement


@dataclass(frozen=True)
class InitializedLayer:
    """What became of one layer and direction.

    Attributes
    ----------
    layer, direction
        Which.
    parameters
        The hyperparameters that it was given, or, of usual initialisations, those of the arrays
        that were drawn.
    before, after
        By what squared gradients grew a step over 100 steps, measured with random inputs; nan
        where weights were not finite.
    """

    layer: int
    direction: int
    parameters: Parameters
    before: float
    after: float


@dataclass(frozen=True)
class InitializedModule:
    """What an initialisation did.

    Attributes
    ----------
    scheme, weights
        What was asked for.
    layers
        What became of every layer and direction.
    origin
        Where a critical point comes from; empty for others.
    """

    scheme: str
    weights: str
    layers: tuple[InitializedLayer, ...]
    origin: str = ""

    @property
    def growth_rate(self) -> float:
        """By what squared gradients of the first layer grow a step."""
        return self.layers[0].after

    def __str__(self) -> str:
        """Return a line for each layer."""
        lines = [f"{self.scheme}, {self.weights} weights; squared gradients, growth a step:"]
        for each in self.layers:
            name = f"layer {each.layer}" + (", backward" if each.direction else "")
            lines.append(f"  {name}: {each.before:.4f} before, {each.after:.4f} now")
        return "\n".join(lines)


class Place(Protocol):
    """One layer and direction of a library, where its numbers stand."""

    @property
    def layer(self) -> int:
        """Which layer."""
        ...

    @property
    def direction(self) -> int:
        """1 for the one that goes backwards."""
        ...

    @property
    def cell(self) -> Cell:
        """Our cell of the same equations."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Its gates, in the order of the rows of its arrays."""
        ...

    def arrays(self) -> StackedArrays:
        """Return its numbers in double precision."""
        ...

    def put(self, arrays: StackedArrays) -> Any:
        """Return the place with other numbers, which may be the same place, in its precision."""
        ...


SomePlace = TypeVar("SomePlace", bound=Place)


def initialize_layers(
    places: Sequence[SomePlace],
    scheme: Scheme | Parameters,
    *,
    weights: str,
    input_variance: float,
    steps: int,
    draw: Draws,
) -> tuple[InitializedModule, list[SomePlace]]:
    """Initialise layers, from below, and say what that does to gradients.

    Parameters
    ----------
    places
        All layers and directions.
    scheme, weights, input_variance, steps
        As in ``rmt_jacobian.torch.initialize_``.
    draw
        What numbers are drawn from.

    Returns
    -------
    tuple
        The report, and the places with their new numbers.

    Raises
    ------
    ParameterError
        If the scheme is of another kind or does not fit, or no critical point is kept for a cell.
    """
    check_scheme(scheme, weights, input_variance, steps)
    found, done, origin, variance = [], [], "", input_variance
    for each in places:
        if each.layer and not each.direction:
            below = [one for one in done if one.layer == each.layer - 1]
            variance = _variance_above(below, variance)
        before = _growth(each, variance)
        recipe, origin = recipe_of(each.cell, each.names, scheme, weights, variance, steps)
        N, M = each.arrays().W.shape[1], each.arrays().V.shape[1]
        now = each.put(recipe.arrays(draw, N, M))
        parameters = recipe.parameters
        if parameters is None:
            parameters = _network(now).fit().parameters
        after = _growth(now, variance)
        found.append(InitializedLayer(each.layer, each.direction, parameters, before, after))
        done.append(now)
    name = scheme if isinstance(scheme, str) else "own hyperparameters"
    return InitializedModule(name, weights, tuple(found), origin), done


def recipe_of(
    cell: Cell,
    names: tuple[str, ...],
    scheme: Scheme | Parameters,
    weights: str,
    input_variance: float,
    steps: int,
) -> tuple[Recipe, str]:
    """Return what gates are to be given by a scheme, and where a critical point comes from.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> recipe, _ = recipe_of(vanilla, ("candidate",), "critical", "orthogonal", 1.0, 100)
    >>> bool(recipe.parameters["candidate"].weight_std > 1)
    True
    """
    if isinstance(scheme, Parameters):
        scheme.check_cell(cell)
        return Recipe(cell, names, scheme, weights=weights), ""
    if scheme in ("critical", "untied-critical"):
        sharing = "tied" if scheme == "critical" else "untied"
        known = known_point(cell, weights=weights, dynamics=sharing, input_variance=input_variance)
        return Recipe(cell, names, known.parameters, weights=weights), known.origin
    return Recipe(cell, names, None, str(scheme), steps=steps), ""


def check_scheme(scheme: Any, weights: str, input_variance: float, steps: int) -> None:
    """Refuse what is no scheme, ensemble, mean square or number of steps.

    Examples
    --------
    >>> check_scheme("critical", "uniform", 1.0, 100)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: weights must be 'gaussian' or 'orthogonal', not 'uniform'
    """
    known = get_args(Scheme)
    if not isinstance(scheme, Parameters) and scheme not in known:
        raise ParameterError(
            f"unknown scheme {scheme!r}: use one of {', '.join(known)}, or Parameters of the cell"
        )
    if weights not in ("gaussian", "orthogonal"):
        raise ParameterError(f"weights must be 'gaussian' or 'orthogonal', not {weights!r}")
    if not (isinstance(input_variance, int | float) and 0 < input_variance < math.inf):
        raise ParameterError(f"input_variance must be a number above 0, not {input_variance!r}")
    check_counts(steps=steps)


def _network(place: Place) -> Network:
    return place.arrays().network(place.cell, place.names)


def _driven(network: Network, variance: float) -> Trajectory:
    """Run a network on random inputs, the same for what stood there and what stands there now."""
    shape = (_TRANSIENT + STEPS, network.input_size)
    return network.run(math.sqrt(variance) * np.random.default_rng(0).standard_normal(shape))


def _growth(place: Place, variance: float) -> float:
    """Return by what squared gradients grow a step; nan of weights that are broken."""
    if not place.arrays().finite:
        return math.nan
    return growth_of(_network(place), variance)


def growth_of(network: Network, variance: float) -> float:
    """Return by what squared gradients grow a step over 100 steps, with Gaussian inputs.

    Examples
    --------
    >>> bool(growth_of(Network.sample("vanilla", {"weight_std": 0.5}, width=32), 1.0) < 0.5)
    True
    """
    return _driven(network, variance).growth_rate(STEPS, directions=_DIRECTIONS)


def _variance_above(below: Sequence[Place], variance: float) -> float:
    """Return the mean square of the states that the next layer reads."""
    found = []
    for each in below:
        path = _driven(_network(each), variance)
        found.append(float(np.mean(path.states[_TRANSIENT:, 0] ** 2)))
    return float(np.mean(found))
