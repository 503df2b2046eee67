"""Runs the project's tests and counts them; scripts/test is the way in. Standard library only."""
