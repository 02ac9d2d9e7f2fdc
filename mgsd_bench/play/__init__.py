"""A person in place of a model: the page in which questions are answered, and the server that shows it."""
