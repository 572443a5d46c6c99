"""Curation: raw videos to VPData's layout, with the thresholds of the paper (section 3.1) where it states any.

vp-jax curate VIDEOS OUT                       masks that cover 30 to 70 % of the picture, as published
vp-jax curate VIDEOS OUT --config curate:things   smaller things too, from 1 % on
"""

from ml_collections import ConfigDict


def get_config(kind: str = "paper") -> ConfigDict:
    """Settings of the stages in `vp_jax.curate.settings`."""
    if kind not in ("paper", "things"):
        raise ValueError(f"{kind!r}: expected paper or things")
    config = ConfigDict()
    config.duplicate_bits = 12  # of 192, in which key frames of near-duplicates may differ; -1: none are looked for
    config.validation = 0.0  # share of the sources
    config.shards = True
    config.licence = ""  # of sources that state none
    config.batch = 4  # clips whose key frames go through a model together, where it takes several
    config.collect = dict(
        fetch=dict(tries=5, wait=2.0, per_second=2.0, timeout=60.0, most_bytes=8 << 30),
        least_seconds=6.0,
        least_rows=240,
        least_change=0.5,
        most_bars=0.04,
        key_frames=9,
        hashed=3,
    )
    config.cuts = dict(threshold=3.0, least_content=15.0, window=2, least_seconds=0.6)
    config.tag = dict(model="", weights="", key_frames=4, most=8, required=True)
    config.box = dict(
        model="proposals",
        weights="",
        threshold=0.3,
        interval=2.0,
        most_frames=8,
        least_seconds=6.0,
        most_things=3,
        least_area=0.01,
        most_area=0.95,
        same=0.1,
    )
    config.mask = dict(backend="grabcut", weights="", sam2="", most_rows=360)
    config.mask_filter = dict(  # paper: 30 to 70 %, under 20 %
        least_area=0.3,
        most_area=0.7,
        most_change=0.2,
        worst_change=1.0,
        most_jitter=0.02,
        most_lost=0.2,
        least_confidence=0.0,
    )
    config.split = dict(piece_seconds=10.0, least_seconds=6.0)  # paper
    config.measure = dict(key_frames=6, plugins="")
    config.select = _select()
    config.caption = dict(model="template", key_frames=8)
    config.pack = dict(npz=True)
    if kind == "things":
        config.mask_filter.update(least_area=0.01)
    return config


def _select() -> dict[str, object]:
    """Limits of what was measured, beyond which a clip is dropped."""
    return dict(
        least_change=0.5,
        least_motion=0.001,
        most_motion=2.0,
        least_sharpness=10.0,
        least_brightness=10.0,
        most_brightness=245.0,
        most_clipped=0.5,
        most_bars=0.04,
        plugins="",
    )
