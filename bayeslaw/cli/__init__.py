"""The command line: the words of the Python functions, as commands."""
