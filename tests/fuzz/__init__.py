"""Mutated notebooks, scripts, archives and YAMLs by the thousand: `make fuzz`."""
