"""Networks that are run: steps, starts, signals, states at rest, Jacobians of one step."""
