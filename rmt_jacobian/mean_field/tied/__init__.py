"""The steady state under shared weights: dynamical mean field theory in time."""
