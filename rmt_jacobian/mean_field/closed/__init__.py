"""Cells with one state and one preactivation, where everything is a closed average."""
