"""Steps that compute the hole and its surroundings alone: what they are, and which models can take them.

With `Settings.background_every` k, steps 0, k, 2 k ... are full steps; those between them are hole steps, see
`vp_jax.models.background_cache`. The sampler puts the source's latents back outside the hole after every step, so that
what a hole step does not predict is never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings

if TYPE_CHECKING:  # files are checked without JAX
    from vp_jax.inference.models import Models


def check_model(models: Models, settings: Settings, devices: int = 1) -> None:
    """Check that a model can take hole steps, if the settings ask for them.

    Raises:
      UserError: it has no context encoder, an ID adapter, or is divided over devices.
    """
    if settings.background_every == 1:
        return
    reason = ""
    if models.branch_cfg is None:
        reason = "for this model, which has no context encoder"
    elif models.has_id_adapter:
        reason = "with an ID adapter, whose keys are not kept; it can be left off"
    elif devices > 1:
        reason = f"on a mesh of {devices} devices"
    if reason:
        raise UserError(f"background_every {settings.background_every}: expected 1 {reason}")
