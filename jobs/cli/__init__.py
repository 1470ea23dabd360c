"""The command line: arguments, commands, and how results are printed."""
