"""Averages over Gaussian preactivations, states and inputs; kinks and jumps among them."""
