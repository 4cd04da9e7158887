"""How well a search ranks, measured on a test collection with known answers."""
