"""What a hostile peer can do, and what a well-behaved client beside it feels; one file per kind of attack."""
