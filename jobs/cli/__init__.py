"""The command line: arguments, commands, and the printing of results."""
