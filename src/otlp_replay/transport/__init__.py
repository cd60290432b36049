"""How requests reach a target."""
