"""Whole tables from a configuration: rows are run where their model is at hand, and set beside published figures."""
