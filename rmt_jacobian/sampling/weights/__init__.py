"""Random weights: dense, fast and implicit; Gaussian, Haar, permutations and signs."""
