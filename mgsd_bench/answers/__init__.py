"""Reading a model's answer: for evaluation, training rewards and re-scoring alike."""
