"""What a recipe would train on, and need, before anything is trained."""
