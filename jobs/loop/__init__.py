"""The whole loop: the order of the steps, running them, what is left to do, and the dry run."""
