"""Training, serving and querying models: text in, text out, with nothing of the method."""
