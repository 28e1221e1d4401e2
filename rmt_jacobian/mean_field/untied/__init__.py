"""The stationary law under fresh weights: one network, and two that share them."""
