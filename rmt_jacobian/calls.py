"""What a wrong call says: one line of ours, for arguments that do not fit and for modules."""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from inspect import Parameter, Signature, signature
from types import ModuleType
from typing import Any, TypeVar

from rmt_jacobian.errors import CallError

__all__ = ["moved_names", "named_arguments", "refuse_calls"]

Function = TypeVar("Function", bound=Callable[..., Any])

_HYPERPARAMETERS = ("weight_std", "input_std", "bias_mean", "bias_std", "input_variance")
_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LISTED = 6  # names of a module


def named_arguments(function: Function) -> Function:
    """Return the function, whose calls with arguments that do not fit raise an error of ours.

    Of a class it is the constructor.

    Examples
    --------
    >>> @named_arguments
    ... def root(x: float, *, tolerance: float = 1e-9) -> float: ...
    >>> root(2.0, tolerence=1e-6)
    Traceback (most recent call last):
    rmt_jacobian.errors.CallError: root has no argument 'tolerence': did you mean tolerance?
    """
    if isinstance(function, type):
        function.__init__ = named_arguments(function.__init__)
        return function  # pyright: ignore[reportReturnType]
    known = signature(function)

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            given = known.bind(*args, **kwargs).arguments
        except TypeError:
            name = function.__qualname__.removesuffix(".__init__")
            raise CallError(_fault(name, known, args, kwargs)) from None
        if hasattr(function, "cache_info"):
            _refuse_unhashable(function.__qualname__, given)
        return function(*args, **kwargs)

    return called  # pyright: ignore[reportReturnType]


def _refuse_unhashable(name: str, given: Mapping[str, Any]) -> None:
    """Refuse lists and mappings where answers are kept by what was asked."""
    for key, value in given.items():
        if getattr(type(value), "__hash__", None) is None:
            raise CallError(f"{key} of {name} must be one thing or its name, not {value!r}")


def _fault(name: str, known: Signature, args: Sequence[Any], given: Mapping[str, Any]) -> str:
    """Say in one line why a call does not fit a function."""
    own = {key: each for key, each in known.parameters.items() if key != "self"}
    args = args[len(known.parameters) - len(own) :]
    by_place = [key for key, each in own.items() if each.kind in _BY_PLACE]
    if unknown := [key for key in given if key not in own]:
        return f"{name} has no argument {unknown[0]!r}: {_hint(unknown[0], list(own))}"
    if len(args) > len(by_place):
        rest = ", ".join(f"{key}=..." for key in own if key not in by_place)
        hint = f"name the others, {rest}" if rest else "leave out the others"
        return f"{name} takes {len(by_place)} without a name, not {len(args)}: {hint}"
    if twice := [key for key in by_place[: len(args)] if key in given]:
        return f"{name} is given {twice[0]} twice, by its place and by its name: leave out one"
    missing = [
        key
        for key, each in own.items()
        if each.default is Parameter.empty and key not in (*by_place[: len(args)], *given)
    ]
    return f"{name} needs {', '.join(missing)}: give {', '.join(f'{k}=...' for k in missing)}"


def _hint(wrong: str, own: Sequence[str]) -> str:
    if wrong in _HYPERPARAMETERS:
        for place in ("parameters", "fixed"):
            if place in own:
                return f"hyperparameters go into {place}={{{wrong!r}: ...}}"
        return f"hyperparameters are made by Parameters.of(cell, {wrong}=...)"
    near = get_close_matches(wrong, own, n=1)
    return f"did you mean {near[0]}?" if near else f"its arguments are {', '.join(own)}"


def moved_names(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` that still finds names which have moved to another package.

    Parameters
    ----------
    package
        Where they were.
    homes
        The names, by the package where they are now.

    Examples
    --------
    >>> import warnings
    >>> find = moved_names("former", {"rmt_jacobian.laws": ["Semicircle"]})
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     _ = find("Semicircle")
    >>> print(said[0].message)
    former.Semicircle is now rmt_jacobian.laws.Semicircle
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = f"{home_of[name]}.{name}"
        warnings.warn(f"{package}.{name} is now {found}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home_of[name]), name)

    return find


def refuse_calls(package: ModuleType, instead: Mapping[str, str]) -> None:
    """Make a call of a package, or of a module in it, say what to call instead.

    Parameters
    ----------
    package
        The package.
    instead
        What to call, by the name of the module in the package.

    Examples
    --------
    >>> import rmt_jacobian as rj
    >>> rj.mean_field("gru")
    Traceback (most recent call last):
    rmt_jacobian.errors.CallError: rmt_jacobian.mean_field is a module: call
        rmt_jacobian.stationary(...)
    """

    class Refusing(ModuleType):
        """A module of the package; the import system sets its modules as its attributes."""

        def __call__(self, *_: Any, **__: Any) -> Any:
            raise CallError(f"{self.__name__} is a module: call {what_of(self)}")

        def __setattr__(self, name: str, value: Any) -> None:
            adopt(value)
            super().__setattr__(name, value)

    def adopt(value: Any) -> None:
        if not isinstance(value, ModuleType) or isinstance(value, Refusing):
            return
        if value.__name__.startswith(f"{package.__name__}."):
            value.__class__ = Refusing
            for inner in list(vars(value).values()):
                adopt(inner)

    def what_of(module: ModuleType) -> str:
        own = module.__name__.removeprefix(f"{package.__name__}.")
        if own in instead:
            return f"{package.__name__}.{instead[own]}"
        names = getattr(module, "__all__", ())
        if not names:  # a folder, whose names are those of the package around it
            return what_of(sys.modules[module.__name__.rpartition(".")[0]])
        return f"one of its own, {', '.join([*names[:_LISTED], '...'][: len(names)])}"

    package.__class__ = Refusing
    for inner in list(vars(package).values()):
        adopt(inner)
