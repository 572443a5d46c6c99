"""Ablations on the drawn world: ``cases`` and ``variants`` are run by ``runner``, ``tables`` shows the results."""
