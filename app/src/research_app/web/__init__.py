"""Pages for readers: rendered here, with their whole state in the address."""
