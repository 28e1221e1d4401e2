"""The pencil of a product of steps with several states or matrices, and its long-time wave."""
