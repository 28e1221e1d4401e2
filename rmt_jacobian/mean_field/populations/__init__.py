"""Populations of sites that are run, with errors and growth rates."""
