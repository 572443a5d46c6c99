"""From an instruction to a job: what is edited, where, what it shows afterwards, and the first frame."""
