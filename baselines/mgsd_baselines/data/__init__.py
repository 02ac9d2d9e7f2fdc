"""What is trained on: examples made of episodes, and what the teacher of self-distillation is told."""
