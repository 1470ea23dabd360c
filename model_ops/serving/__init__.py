"""Serving: vLLM servers that a run starts and stops on this machine."""
