"""How fast a bundle runs here, measured in fresh processes with the machine's state beside it."""
