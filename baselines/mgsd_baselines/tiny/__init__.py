"""The tiny Qwen3-VL that stands in for a released checkpoint: its weights and its vocabulary."""
