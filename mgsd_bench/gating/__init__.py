"""Is a new checkpoint worse than the old one? From a policy and two runs to a verdict."""
