"""Placeholder until the media branch lands."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = 50
    guidance: float = 6.0
    dynamic_guidance: bool = True
    sampler: str = "dpm"
    window: int = 49
    overlap: int = 1
    mode: str = "default"
    clip_weight: float = 0.0
    replace_background: bool = True
    hint_scale: float = 1.0
    seed: int = 42
