"""Encoding of text to token ids in a model's chat format, for training and inference alike."""
