"""Names of hyperparameters as they are given: overlaid on others, and refused where unknown."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from rmt_jacobian.errors import ParameterError

__all__ = ["GROUP_FIELDS", "named_values", "numbers", "overlaid", "refuse_unknown"]

GROUP_FIELDS = ("weight_std", "input_std", "bias_mean", "bias_std")
"""The hyperparameters of a preactivation, in their order."""


def named_values(given: Mapping[str, float] | None) -> Mapping[str, float]:
    """Return what a user has given by name, which must have names."""
    if given is not None and not isinstance(given, Mapping):
        raise ParameterError(
            f"parameters are given by name, as {{'weight_std': 2}} or weight_std=2, not {given!r}"
        )
    return given or {}


def numbers(given: Mapping[str, float]) -> dict[str, float]:
    """Return what was given as numbers, or refuse what is none by its name."""
    found = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise ParameterError(
                f"a parameter must have a name, such as 'weight_std', not {name!r}"
            )
        try:
            found[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ParameterError(f"{name} must be a number, not {value!r}") from None
    return found


def overlaid(values: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """Return values with others in their place; weight_std also replaces update.weight_std.

    Examples
    --------
    >>> overlaid({"update.weight_std": 3, "update.bias_mean": 1}, {"weight_std": 2})
    {'update.bias_mean': 1, 'weight_std': 2}
    """
    kept = {name: value for name, value in values.items() if name.split(".")[-1] not in given}
    return {**kept, **given}


def refuse_unknown(
    cell: str,
    groups: Mapping[str, Sequence[str]],
    constants: Sequence[str],
    values: Mapping[str, float],
) -> None:
    """Refuse a name that is none, and say which may have been meant.

    Parameters
    ----------
    cell
        The name of the cell; empty if it is not known.
    groups, constants
        The hyperparameters of each preactivation, and the constants.
    values
        What was given by name.
    """
    known = [*GROUP_FIELDS, "input_variance", *constants]
    known += [f"{group}.{field}" for group, fields in groups.items() for field in fields]
    for name in values:
        if name not in known:
            whose = f"{cell} has no" if cell else "no"
            raise ParameterError(f"{whose} parameter {name!r}: {_hint(list(groups), name, known)}")


def _hint(groups: Sequence[str], name: str, known: Sequence[str]) -> str:
    """Say what may have been meant: a group and a field are looked for each by itself."""
    group, dot, field = name.partition(".")
    if dot and group in groups and field in GROUP_FIELDS:
        what = "W" if field == "weight_std" else "V"
        return f"its preactivation {group!r} has no {what}, leave it out"
    if not dot:
        near = get_close_matches(name, known, n=1)
    elif field in groups and group in GROUP_FIELDS:  # the wrong way round
        near = [f"{field}.{group}"]
    else:
        fields = get_close_matches(field, GROUP_FIELDS, n=1)
        near = get_close_matches(group, groups, n=1) if fields else []
        near = [f"{near[0]}.{fields[0]}"] if near else []
        if fields and not near:
            return f"its preactivations are {', '.join(groups)}"
    near = [each for each in near if each in known]
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
