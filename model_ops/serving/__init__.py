"""Serving: vLLM servers that this machine starts and stops."""
