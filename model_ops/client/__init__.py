"""Querying models: the engine interface, vLLM's client, and the handshake that proves a server's capabilities."""
