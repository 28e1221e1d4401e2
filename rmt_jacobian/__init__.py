"""Free probability and random-matrix spectra of recurrent-network Jacobians."""

__version__ = "0.1.0"
