"""Tables and checks as plain text, for the terminal."""
