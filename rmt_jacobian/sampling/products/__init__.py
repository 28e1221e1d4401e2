"""Products of Jacobians, their singular values, graded where they span many decades."""
