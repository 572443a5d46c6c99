"""The page of a job, for people: one HTML file that works without a network."""
