"""Everything of a film but its pictures, carried into a result: sound, subtitles, chapters, attachments, tags."""
