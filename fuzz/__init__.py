"""Mutated bytes for all that reads them, under sanitizers: `nox -s fuzz`."""
