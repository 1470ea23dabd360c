"""The loop over iterations: the order of its steps, their execution, the check for changes, and the dry run."""
