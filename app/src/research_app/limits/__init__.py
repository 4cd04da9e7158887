"""How often somebody may ask, and how much they may send."""
