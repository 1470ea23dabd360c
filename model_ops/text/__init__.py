"""Text to token ids by a model's chat format, for training and inference alike."""
