"""Training: the rows, the loss, the trainer, and the folders that models live in."""
