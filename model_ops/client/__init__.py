"""Asking models: the engine interface, vLLM's client, and what a server must prove first."""
