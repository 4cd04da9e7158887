"""Items that nobody has used for long: out of the index into an archive, and back."""
