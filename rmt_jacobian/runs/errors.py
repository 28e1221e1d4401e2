"""What can go wrong with a store, and with a run that is under way."""

from rmt_jacobian.errors import RmtJacobianError

__all__ = ["StoreError", "UnfinishedRunError"]


class StoreError(RmtJacobianError):
    """A store is missing, foreign, damaged, of a newer version, in use, or of another run.

    It is raised before anything in the store is changed.
    """


class UnfinishedRunError(RmtJacobianError):
    """A run had to stop; what it has stored is whole, and the run can be resumed."""
