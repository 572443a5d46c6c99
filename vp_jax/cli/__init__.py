"""The commands: each module holds the flags of one and hands what was asked to the room that does it."""
