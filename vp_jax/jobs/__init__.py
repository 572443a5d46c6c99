"""A sampling job as data, its run as events, what it keeps and what it leaves."""
