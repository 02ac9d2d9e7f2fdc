"""mgsd-bench inside other people's tools: inspect_ai and pytest."""
