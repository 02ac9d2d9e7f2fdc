"""Settings from files, options and Python: layered, checked once, with one line for a mistake."""
