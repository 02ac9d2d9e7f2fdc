"""Runs: questions asked through a backend, answers scored in the simulator, and the folder that keeps them."""
