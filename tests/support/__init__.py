"""What the tests share: servers, clients, databases and rows to begin with."""
