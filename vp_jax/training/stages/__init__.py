"""What a run trains: one stage one file, and the registry of all of them."""
