"""Weighted points of one law that carry all variables of a site, and paths of them."""
