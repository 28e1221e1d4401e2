r"""Initialisations in place, per gate, of layers of PyTorch.

PyTorch stacks the matrices of the gates: an orthogonal matrix of the stacked shape is orthogonal
for no gate, and that is what the theory asks for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, gru_reset_after, lstm
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.known import known_point
from rmt_jacobian.initialization.report import Sharing
from rmt_jacobian.networks import Network, Trajectory
from rmt_jacobian.torch.layers import Layer, framework, is_ours, layers_of

__all__ = ["InitializedLayer", "InitializedModule", "Scheme", "initialize_"]

Scheme: TypeAlias = Literal["critical", "untied-critical", "chrono", "keras", "pytorch"]
"""Critical for shared weights or for fresh ones, or what is usual."""

_SHARING: Mapping[str, Sharing] = MappingProxyType(
    {"critical": "tied", "untied-critical": "untied"}
)
_STEPS = 100  # the longest dependence, and the horizon that growth is measured over
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


@named_arguments
def initialize_(
    module: Any,
    scheme: Scheme | Parameters = "critical",
    *,
    weights: str = "orthogonal",
    input_variance: float = 1.0,
    steps: int = _STEPS,
    generator: Any = None,
) -> InitializedModule:
    r"""Initialise a layer of PyTorch in place, and say what that does to gradients.

    Parameters
    ----------
    module
        As in :func:`network`; of any precision, on any device. A :class:`Recurrent` takes critical
        points of its cell and hyperparameters of one's own.
    scheme
        ``"critical"``: gradients keep their mean square over 100 steps in a network that keeps its
        weights, and spread least; ``"untied-critical"``: the same with weights drawn anew at every
        step, as in published theory; ``"pytorch"``, ``"keras"``, ``"chrono"``: what these do; or
        hyperparameters of one's own for the cell of the layer, such as
        ``Parameters.of(rj.lstm, ...)``.
    weights
        ``"orthogonal"`` or ``"gaussian"``, of every gate, for critical points and one's own
        hyperparameters.
    input_variance
        The mean square of the inputs. Layers above the first read the states below, whose mean
        square is measured.
    steps
        The longest dependence, for ``"chrono"``.
    generator
        A ``torch.Generator``; by default that of PyTorch.

    Notes
    -----
    Every gate gets a matrix of its own, :math:`\sigma_w` times a Haar orthogonal one or with
    entries of variance :math:`\sigma_w^2 / N`; entries of the input matrices have the variance
    :math:`\sigma_v^2 / M`. Biases go to ``bias_ih``, and ``bias_hh`` is 0, but for the candidate of
    the GRU, whose ``bias_hh`` belongs to W. Numbers are drawn in double precision and rounded to
    that of the module.

    Critical points are those of :func:`.known_point`. Growth is measured in the module as it is,
    with Gaussian inputs that differ from step to step.

    Raises
    ------
    ParameterError
        If the module or the scheme is of another kind, or no critical point is kept for it.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.GRU(8, 64)
    >>> report = initialize_(module, generator=torch.Generator().manual_seed(0))
    >>> bool(report.layers[0].before < 0.6), bool(abs(report.growth_rate - 1) < 0.05)
    (True, True)
    """
    _check(scheme, weights, input_variance)
    check_counts(steps=steps)
    if is_ours(module):
        return _ours(module, scheme, weights, input_variance, generator)
    layers = layers_of(module)
    draw = _Draws(generator)
    found, origin, variance = [], "", input_variance
    for each in layers:
        if each.layer and not each.direction:
            variance = _variance_above([one for one in layers if one.layer == each.layer - 1],
                                       variance)  # fmt: skip
        before = _growth(each, variance)
        parameters: Parameters | None = None
        if isinstance(scheme, Parameters):
            scheme.check_cell(each.cell)
            parameters = scheme
        elif scheme in _SHARING:
            known = known_point(
                each.cell, weights=weights, dynamics=_SHARING[scheme], input_variance=variance
            )
            parameters, origin = known.parameters, known.origin
        if parameters is None:
            _usual(each, str(scheme), draw, steps)
            parameters = each.network().fit().parameters
        else:
            _drawn(each, parameters, weights, draw)
        after = _growth(each, variance)
        found.append(InitializedLayer(each.layer, each.direction, parameters, before, after))
    name = scheme if isinstance(scheme, str) else "own hyperparameters"
    return InitializedModule(name, weights, tuple(found), origin)


def _ours(
    module: Any, scheme: Any, weights: str, variance: float, generator: Any
) -> InitializedModule:
    """Initialise a layer that was made of a cell, which has no usual schemes."""
    origin, name = "", "own hyperparameters"
    if isinstance(scheme, Parameters):
        parameters = scheme
    elif scheme in _SHARING:
        known = known_point(
            module.cell, weights=weights, dynamics=_SHARING[scheme], input_variance=variance
        )
        parameters, origin, name = known.parameters, known.origin, scheme
    else:
        raise ParameterError(
            f"scheme {scheme!r} is for layers of PyTorch: use {' or '.join(_SHARING)}, or "
            "Parameters of the cell"
        )
    parameters.check_cell(module.cell)
    before = _growth_of(module.network(), variance)
    module.reset_parameters(parameters, weights=weights, generator=generator)
    after = _growth_of(module.network(), variance)
    layer = InitializedLayer(0, 0, parameters, before, after)
    return InitializedModule(name, weights, (layer,), origin)


def _check(scheme: Any, weights: str, input_variance: float) -> None:
    known = get_args(Scheme)
    if not isinstance(scheme, Parameters) and scheme not in known:
        raise ParameterError(
            f"unknown scheme {scheme!r}: use one of {', '.join(known)}, or Parameters of the cell"
        )
    if weights not in ("gaussian", "orthogonal"):
        raise ParameterError(f"weights must be 'gaussian' or 'orthogonal', not {weights!r}")
    if not (isinstance(input_variance, int | float) and 0 < input_variance < math.inf):
        raise ParameterError(f"input_variance must be a number above 0, not {input_variance!r}")


class _Draws:
    """What is drawn from a generator of PyTorch, in double precision on the host."""

    def __init__(self, generator: Any) -> None:
        self.torch, self.generator = framework(), generator
        device = getattr(generator, "device", "cpu")
        self._options = {"generator": generator, "dtype": self.torch.float64, "device": device}

    def normal(self, *shape: int) -> np.ndarray:
        """Return normal numbers."""
        return self.torch.randn(*shape, **self._options).cpu().numpy()

    def uniform(self, *shape: int) -> np.ndarray:
        """Return numbers between -1 and 1."""
        return 2 * self.torch.rand(*shape, **self._options).cpu().numpy() - 1

    def orthogonal(self, rows: int, columns: int) -> np.ndarray:
        """Return Haar orthonormal columns."""
        q, r = np.linalg.qr(self.normal(rows, columns))
        return q * np.sign(np.diag(r))


def _drawn(layer: Layer, p: Parameters, weights: str, draw: _Draws) -> None:
    """Give every gate matrices and biases of its hyperparameters."""
    N, M = layer.tensor("weight_hh").shape[1], layer.tensor("weight_ih").shape[1]
    apart = layer.cell is gru_reset_after  # its candidate has two biases, and V elsewhere
    W, V, inner, outer = [], [], [], []
    for name in layer.names:
        outside = "candidate_input" if apart and name == "candidate" else name
        own, entering = p[name], p[outside]
        unit = draw.orthogonal(N, N) if weights == "orthogonal" else draw.normal(N, N) / N**0.5
        W.append(own.weight_std * unit)
        V.append(entering.input_std / math.sqrt(M) * draw.normal(N, M))
        outer.append(entering.bias_mean + entering.bias_std * draw.normal(N))
        inside = own.bias_mean + own.bias_std * draw.normal(N) if outside != name else np.zeros(N)
        inner.append(inside)
    _put(layer, W, V, inner, outer)


def _usual(layer: Layer, scheme: str, draw: _Draws, steps: int) -> None:
    """Draw as a library does, all gates in one matrix."""
    names, (rows, N) = layer.names, layer.tensor("weight_hh").shape
    M = layer.tensor("weight_ih").shape[1]
    bias = {name: np.zeros(N) for name in names}
    inner = np.zeros(rows)
    if scheme == "keras":
        W, V = draw.orthogonal(rows, N), math.sqrt(6 / (M + rows)) * draw.uniform(rows, M)
        if layer.cell is lstm:
            bias["forget"] = np.ones(N)
    else:
        edge = 1 / math.sqrt(N)
        W, V = edge * draw.uniform(rows, N), edge * draw.uniform(rows, M)
        if scheme == "pytorch":
            bias = {name: edge * draw.uniform(N) for name in names}
            inner = edge * draw.uniform(rows)
        else:
            bias |= _chrono(layer.cell, N, steps, draw)
    _put(layer, [W], [V], [inner], list(bias.values()))


def _chrono(cell: Cell, N: int, steps: int, draw: _Draws) -> dict[str, np.ndarray]:
    """Return biases of gates that remember for 1 to T - 1 steps."""
    if cell not in (lstm, gru_reset_after):
        raise ParameterError(f"{cell.name} has no gate: 'chrono' is for an LSTM or a GRU")
    keeps = np.log(1 + (max(2.0, steps - 1.0) - 1) * (draw.uniform(N) + 1) / 2)
    return {"forget": keeps, "input": -keeps} if cell is lstm else {"update": keeps}


def _put(
    layer: Layer,
    W: Sequence[np.ndarray],
    V: Sequence[np.ndarray],
    inner: Sequence[np.ndarray],
    outer: Sequence[np.ndarray],
) -> None:
    """Write stacked arrays into the module, in its own precision."""
    torch = framework()
    arrays = {"weight_hh": W, "weight_ih": V}
    if layer.module.bias:
        arrays |= {"bias_hh": inner, "bias_ih": outer}
    elif np.any(np.concatenate(outer)) or np.any(np.concatenate(inner)):
        raise ParameterError("this needs biases, and the module has none: bias=True")
    with torch.no_grad():
        for name, parts in arrays.items():
            layer.tensor(name).copy_(torch.from_numpy(np.concatenate(parts)))


def _driven(network: Network, variance: float) -> Trajectory:
    """Run a network on random inputs, the same for what stood there and what stands there now."""
    shape = (_TRANSIENT + _STEPS, network.input_size)
    return network.run(math.sqrt(variance) * np.random.default_rng(0).standard_normal(shape))


def _growth(layer: Layer, variance: float) -> float:
    """Return by what squared gradients grow a step; nan of weights that are broken."""
    if not all(np.all(np.isfinite(layer.array(name))) for name in layer.arrays):
        return math.nan
    return _growth_of(layer.network(), variance)


def _growth_of(network: Network, variance: float) -> float:
    return _driven(network, variance).growth_rate(_STEPS, directions=_DIRECTIONS)


def _variance_above(below: Sequence[Layer], variance: float) -> float:
    """Return the mean square of the states that the next layer reads."""
    found = []
    for each in below:
        path = _driven(each.network(), variance)
        found.append(float(np.mean(path.states[_TRANSIENT:, 0] ** 2)))
    return float(np.mean(found))
