"""Every endpoint over a real connection, and the rules that hold for all of them."""
