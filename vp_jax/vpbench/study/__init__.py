"""A blind preference study: its plan and videos, its page, its server, and what the answers say."""
