"""The published command-line client against this server, with a script in the part of the phone."""
