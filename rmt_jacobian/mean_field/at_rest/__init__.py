"""Fixed points under shared weights, their bifurcations, slow modes and phases."""
