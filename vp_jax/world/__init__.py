"""The drawn world: an endless, seeded source of clips with exact masks, captions and edits.

``scene`` describes scenes, ``outlines`` and ``render`` draw them, ``edit`` changes them; ``synthetic`` is the source of
clips, ``sheet`` a picture to look at, ``vocabulary`` a tokenizer of the captions.
"""
