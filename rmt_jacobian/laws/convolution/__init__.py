"""Free convolutions, powers and inverse transforms of laws on the line."""
