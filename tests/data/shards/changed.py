"""Records of latent shards with arrays that no builder writes."""

import io

import numpy as np

from vp_jax.data.shards.latent_records import LatentClip


def changed(clip, **arrays):
    """The clip with other arrays, packed by NumPy as another program might."""
    file = io.BytesIO()
    kept = {name: array for name, array in {**clip.arrays(), **arrays}.items() if array is not None}
    np.savez(file, **kept)
    return LatentClip({**clip.fields, "arrays": file.getvalue()})
