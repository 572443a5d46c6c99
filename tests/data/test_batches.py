"""Typed batches of what loaders give: each array in its field, what is missing is None, text stays on the host."""

import jax
import numpy as np

from vp_jax.data.batches import LatentBatch, PixelBatch, device_batch


def numbered(*names):
    """One array per name, all different."""
    return {name: np.full((2, 3), number, np.float32) for number, name in enumerate(names)}


def test_pixels_of_a_loader():
    loaded = numbered("pixels", "masks", "image_sigma", "image_keep", "input_ids")
    batch = device_batch({**loaded, "caption": np.array(["a", "b"]), "id": np.array(["x", "y"]), "fps": np.zeros(2)})
    assert isinstance(batch, PixelBatch)
    assert [None if array is None else float(array[0, 0]) for array in batch] == [0, 1, 2, 3, 4, None]
    assert float(device_batch({**loaded, "mask": np.ones((2, 3))}).mask_BThw[0, 0]) == 1
    assert device_batch({k: v for k, v in loaded.items() if k != "input_ids"}).input_ids_BM is None


def test_latents_of_shards_with_masks_and_embeddings():
    loaded = numbered("latents", "image_latents", "masked_latents", "mask", "text")
    batch = device_batch({**loaded, "caption": np.array(["a", "b"])})
    assert isinstance(batch, LatentBatch)
    assert [None if array is None else float(array[0, 0]) for array in batch] == [0, 1, 2, 3, 4, None, None, None]


def test_clean_latents_with_masked_pixels():
    batch = device_batch(numbered("latents", "image_latents", "input_ids", "masked_BFHWC", "masks_BFHW"))
    assert batch.masked_latents_BThwC is None and batch.mask_BThw is None and batch.text_BME is None
    assert [float(x[0, 0]) for x in (batch.input_ids_BM, batch.masked_BFHWC, batch.masks_BFHW)] == [2, 3, 4]


def test_a_batch_is_a_pytree_of_the_parts_that_it_has():
    batch = device_batch(numbered("latents", "image_latents", "text"))
    names = [str(path[-1]) for path, _ in jax.tree_util.tree_flatten_with_path(batch)[0]]
    assert names == [".latents_BThwC", ".image_latents_BThwC", ".text_BME"]
    doubled = jax.jit(lambda b: jax.tree.map(lambda x: 2 * x, b))(batch)
    assert isinstance(doubled, LatentBatch) and float(doubled.text_BME[0, 0]) == 4 and doubled.mask_BThw is None
