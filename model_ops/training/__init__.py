"""Training: reading rows, the loss, the trainer, and model folders."""
