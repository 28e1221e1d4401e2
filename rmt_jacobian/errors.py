"""The exceptions of the package; every message says what is wrong and how to mend it.

All of them derive from :class:`RmtJacobianError`.  Those that report bad input are
:class:`ValueError` as well, so that callers need not know this package to catch them.
"""

__all__ = [
    "CallError",
    "ConvergenceError",
    "HypothesisError",
    "InfeasibleError",
    "NotFiniteError",
    "ParameterError",
    "RmtJacobianError",
    "RoundingWarning",
    "SpecificationError",
    "UndefinedTransformError",
]


class RmtJacobianError(Exception):
    """Base class of every error raised on purpose by this package."""

    def __str__(self) -> str:
        """Return the message in one line, whatever it quotes."""
        return " ".join(map(str.strip, super().__str__().splitlines()))


class ParameterError(RmtJacobianError, ValueError):
    """An argument lies outside its domain, or its name is unknown."""


class CallError(ParameterError, TypeError):
    """A call has an argument that does not fit, or what is called is a module."""


class InfeasibleError(ParameterError):
    """The equations asked for have no admissible solution, e.g. a variance would be negative."""


class HypothesisError(RmtJacobianError, ValueError):
    """A theory was asked about a case outside its hypotheses (untied, bi-invariant, free, ...)."""


class NotFiniteError(ParameterError):
    """A network has numbers that are not finite: it is broken."""


class UndefinedTransformError(RmtJacobianError, ValueError):
    """A transform does not exist for this law, e.g. the S-transform of a law with mean zero."""


class SpecificationError(RmtJacobianError, ValueError):
    """A cell specification cannot be analysed, e.g. an update that is not pointwise."""


class ConvergenceError(RmtJacobianError, ArithmeticError):
    """A solver did not converge; its last iterate is not an answer."""


class RoundingWarning(RuntimeWarning):
    """Some of the numbers that were asked for are below rounding, and noise."""
