"""Moments, spectra and extremes of products that are never formed."""
