"""Hyperparameters of a cell, in words, checked against its specification."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells.parameter_names import (
    GROUP_FIELDS,
    named_values,
    numbers,
    overlaid,
    refuse_unknown,
)
from rmt_jacobian.cells.specification import Cell, Constant, Preactivation
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.inputs import InputKind, InputLaw

__all__ = ["BiasKind", "Parameters", "PreactivationParameters"]

BiasKind = Literal["frozen", "redrawn"]

# Beyond this, fourth powers leave the range of floating-point numbers.
_LARGEST = 1e50


@dataclass(frozen=True)
class PreactivationParameters:
    """The random matrices of one preactivation e = W y + V x + b.

    Attributes
    ----------
    weight_std
        sigma_w: W has entry variance sigma_w^2 / N (Gaussian) or is sigma_w times orthogonal.
    input_std
        sigma_v: V has entry variance sigma_v^2 / N.
    bias_mean, bias_std
        b ~ N(bias_mean, bias_std^2), independent over sites.
    """

    weight_std: float = 0.0
    input_std: float = 0.0
    bias_mean: float = 0.0
    bias_std: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not abs(value) <= _LARGEST:
                raise ParameterError(
                    f"{field.name} must be finite, of size up to {_LARGEST:g}, not {value:g}"
                )
            if field.name != "bias_mean" and value < 0:
                raise ParameterError(
                    f"{field.name} is a standard deviation and must be >= 0, not {value}"
                )

    def preactivation_variance(self, source_variance: float, input_variance: float) -> float:
        r"""Return :math:`q = \sigma_w^2 E[y^2] + \sigma_v^2 R + \sigma_b^2`.

        References
        ----------
        :cite:t:`Chen2018`, eqs. (2), (6), (17) and (22).
        """
        return self.preactivation_covariance(source_variance, input_variance)

    def preactivation_covariance(self, source_covariance: float, input_covariance: float) -> float:
        """Return the covariance of e in two networks that share W, V and b."""
        return (
            self.weight_std**2 * source_covariance
            + self.input_std**2 * input_covariance
            + self.bias_std**2
        )


@named_arguments
@dataclass(frozen=True)
class Parameters:
    """All hyperparameters of a cell: one group for each preactivation, and the input law.

    Attributes
    ----------
    groups
        Names and values of the groups, in the order of the preactivations.
    input_variance, input_kind
        R = E[x^2] and the law of the input.
    bias_kind
        With untied weights, whether the bias of a site is ``"frozen"`` in time or ``"redrawn"`` at
        every step; without bias variance they are the same.
    absent
        Names of hyperparameters that the cell does not have, such as the weights of a preactivation
        without a source.
    constants
        Names and values of the constants of the cell.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> Parameters.of(minimalrnn, weight_std=2, input_std=1, input_variance=0.5)["update"]
    PreactivationParameters(weight_std=2.0, input_std=1.0, bias_mean=0.0, bias_std=0.0)
    >>> Parameters.of(minimalrnn, {"update.weight_std": 2}, input_std=1, input_variance=1).named()
    {'weight_std': 2.0, 'input_std': 1.0, 'bias_mean': 0.0, 'bias_std': 0.0, 'input_variance': 1.0}
    """

    groups: tuple[tuple[str, PreactivationParameters], ...]
    input_variance: float
    input_kind: InputKind = "gaussian"
    bias_kind: BiasKind = "redrawn"
    absent: tuple[str, ...] = ()
    constants: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        InputLaw(self.input_variance, self.input_kind)  # its checks are ours
        if self.bias_kind not in get_args(BiasKind):
            raise ParameterError(
                f"unknown bias_kind {self.bias_kind!r}: use one of {', '.join(get_args(BiasKind))}"
            )

    @classmethod
    def of(
        cls,
        cell: Cell,
        named: Mapping[str, float] | None = None,
        /,
        *,
        input_kind: InputKind = "gaussian",
        bias_kind: BiasKind | None = None,
        **keywords: float,
    ) -> "Parameters":
        """Build the parameters of a cell from names and numbers.

        Parameters
        ----------
        cell
            The cell whose preactivations name the groups.
        named, keywords
            ``weight_std``, ``input_std``, ``bias_mean``, ``bias_std`` for all groups, or
            ``"group.weight_std"`` for one of them; ``input_variance``; constants of the cell.  Its
            ``typical_parameters`` fill in what is left out; a name without a group replaces theirs
            in every group.
        input_kind
            The input law, ``"gaussian"`` or ``"tanh"``.
        bias_kind
            ``"frozen"`` or ``"redrawn"``; by default redrawn for a cell with one preactivation,
            the setting of :cite:t:`Chen2018`, and frozen for others, as in a real network.

        Raises
        ------
        ParameterError
            If a name is unknown, a value is out of its domain, or one is missing.
        """
        if not isinstance(cell, Cell):
            raise ParameterError(
                f"the first argument is a cell, not {cell!r}: rmt_jacobian.cell_named finds one by "
                "its name"
            )
        given = numbers({**named_values(named), **keywords})
        constants = _constants_of(cell)
        refuse_unknown(
            cell.name, {each.name: _fields(each) for each in cell.preactivations},
            tuple(each.name for each in constants), given,
        )  # fmt: skip
        values = overlaid(dict(cell.typical_parameters), given)
        groups = tuple((each.name, _group(cell.name, each, values)) for each in cell.preactivations)
        if "input_variance" not in values:
            raise ParameterError(f"{cell.name} needs input_variance, the variance E[x^2] of inputs")
        bias_kind = bias_kind or ("redrawn" if len(groups) == 1 else "frozen")
        absent = tuple(
            f"{each.name}.{field}"
            for each in cell.preactivations
            for field in GROUP_FIELDS
            if field not in _fields(each)
        )
        chosen = tuple(
            (each.name, each.checked(values.get(each.name, each.typical))) for each in constants
        )
        return cls(groups, values["input_variance"], input_kind, bias_kind, absent, chosen)

    def check_cell(self, cell: Cell) -> None:
        """Refuse a cell of other preactivations.

        Raises
        ------
        ParameterError
            That names both.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru, vanilla
        >>> Parameters.of(vanilla).check_cell(gru)
        Traceback (most recent call last):
        rmt_jacobian.errors.ParameterError: these parameters are of another cell, with the
            preactivations candidate; gru has update, reset, candidate: make them with
            Parameters.of(gru, ...)
        """
        own, wanted = [name for name, _ in self.groups], [each.name for each in cell.preactivations]
        if own != wanted:
            raise ParameterError(
                f"these parameters are of another cell, with the preactivations {', '.join(own)}; "
                f"{cell.name} has {', '.join(wanted)}: make them with "
                f"Parameters.of({cell.name}, ...)"
            )
        named = [each.name for each in _constants_of(cell)]
        if [name for name, _ in self.constants] != named:
            raise ParameterError(
                f"these parameters are of another cell: {cell.name} has the constants "
                f"{', '.join(named) or 'none'}: make them with Parameters.of({cell.name}, ...)"
            )

    def __getitem__(self, name: str) -> PreactivationParameters:
        return dict(self.groups)[name]

    @property
    def only(self) -> PreactivationParameters:
        """The one group of a cell with a single preactivation."""
        ((_, group),) = self.groups
        return group

    def is_frozen(self, k: int) -> bool:
        """Whether the bias of the k-th preactivation varies over sites and not in time."""
        return self.bias_kind == "frozen" and self.groups[k][1].bias_std > 0

    @property
    def has_frozen_bias(self) -> bool:
        """Whether some bias of a site stays what it is.

        Examples
        --------
        >>> from rmt_jacobian.cells import vanilla
        >>> Parameters.of(vanilla, {"bias_std": 0.1}, bias_kind="frozen").has_frozen_bias
        True
        """
        return any(self.is_frozen(k) for k in range(len(self.groups)))

    @cached_property
    def inputs(self) -> InputLaw:
        """The law of the input of one site."""
        return InputLaw(self.input_variance, self.input_kind)

    def with_values(
        self, named: Mapping[str, float] | None = None, /, **values: float
    ) -> "Parameters":
        """Return a copy in which the named values are replaced.

        A name without a group speaks for every group, ``"group.name"`` for one.

        Raises
        ------
        ParameterError
            If a name is unknown or a value is out of its domain.

        Examples
        --------
        >>> from rmt_jacobian.cells import gru
        >>> Parameters.of(gru).with_values({"update.weigth_std": 3})
        Traceback (most recent call last):
        rmt_jacobian.errors.ParameterError: no parameter 'update.weigth_std': did you mean
            update.weight_std?
        """
        given = numbers({**named_values(named), **values})
        refuse_unknown("", self._fields, tuple(name for name, _ in self.constants), given)
        input_variance = given.pop("input_variance", self.input_variance)
        groups = []
        for name, group in self.groups:
            own = {
                field: float(given[key])
                for field in GROUP_FIELDS
                for key in (field, f"{name}.{field}")  # the name of the group has the last word
                if key in given and f"{name}.{field}" not in self.absent
            }
            _checked(name, own, given)
            groups.append((name, replace(group, **own)))
        constants = tuple((name, given.get(name, value)) for name, value in self.constants)
        return replace(
            self, groups=tuple(groups), input_variance=input_variance, constants=constants
        )

    @property
    def _fields(self) -> dict[str, list[str]]:
        """The hyperparameters of each group."""
        return {
            name: [field for field in GROUP_FIELDS if f"{name}.{field}" not in self.absent]
            for name, _ in self.groups
        }

    def named(self) -> dict[str, Any]:
        """Return names and values in the form that :meth:`of` reads."""
        prefix = len(self.groups) > 1
        values = {
            f"{name}.{key}" if prefix else key: value
            for name, group in self.groups
            for key, value in asdict(group).items()
            if f"{name}.{key}" not in self.absent
        }
        return {**values, "input_variance": self.input_variance, **dict(self.constants)}


def _fields(preactivation: Preactivation) -> list[str]:
    """Return the hyperparameters that a preactivation has."""
    absent = set()
    if not preactivation.reads_state:
        absent.add("weight_std")
    if not preactivation.reads_input:
        absent.add("input_std")
    return [field for field in GROUP_FIELDS if field not in absent]


def _constants_of(cell: Cell) -> tuple[Constant, ...]:
    return (cell.symbolic or cell).constants


def _checked(group: str, chosen: Mapping[str, float], named: Mapping[str, float]) -> Any:
    """Return the group, and refuse a number by the name that it was given with."""
    for field, value in chosen.items():
        try:
            PreactivationParameters(**{field: value})
        except ParameterError as error:
            prefix = f"{group}." if f"{group}.{field}" in named else ""
            raise ParameterError(f"{prefix}{error}") from None
    return PreactivationParameters(**chosen)


def _group(
    cell: str, preactivation: Preactivation, values: Mapping[str, float]
) -> PreactivationParameters:
    group, fields_there = preactivation.name, _fields(preactivation)
    chosen = {
        field: values[name]
        for field in fields_there
        for name in (field, f"{group}.{field}")  # the name of the group has the last word
        if name in values
    }
    for needed in ("weight_std", "input_std"):
        if needed in fields_there and needed not in chosen:
            raise ParameterError(
                f"{cell} needs {needed} (of preactivation {group!r}): give a number"
            )
    return _checked(group, chosen, values)
