"""A package, so that its stack lives as long as its tests, not as long as the run."""
