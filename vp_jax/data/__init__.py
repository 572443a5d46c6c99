"""Training data: from a source of clips to batches.

``records`` defines clips and sources, ``clips`` the transforms of the recipe (with ``augment`` and ``morphology``),
``pipeline`` the loader, ``journal`` the log of bad records. ``sources`` reads data sets, ``shards`` writes and reads
prepared ones.
"""
