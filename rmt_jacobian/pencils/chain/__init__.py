"""The pencil of a product of steps with one diagonal pair a step: its Dyson equation, certified."""
