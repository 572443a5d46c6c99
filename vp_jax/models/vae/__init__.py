"""The causal 3-D VAE of CogVideoX: ``vae`` is the model (``coder``, ``layers``, ``convs``), ``tiling`` saves memory."""
