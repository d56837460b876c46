"""What is the same for all endpoints: parsing, routing, errors, the order of processing."""
