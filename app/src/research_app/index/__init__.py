"""The index: its mapping, and the client that reaches it."""
