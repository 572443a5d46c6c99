"""Every program that a user can start, lowered or compiled for devices that need not be here."""
