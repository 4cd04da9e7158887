"""From a reader's words to results."""
