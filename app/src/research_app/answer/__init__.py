"""From a question and the passages found for it to a text whose every source is one of them."""
