"""What is asked: suites of episodes, made or read from other people's test sets, and how they are written to disk."""
