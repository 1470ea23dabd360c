"""Text in, text out: training, serving and asking models, without the method."""
