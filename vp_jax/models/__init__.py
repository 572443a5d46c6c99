"""The networks of VideoPainter, and what can be attached to them.

``dit`` is the backbone (with ``layers``, ``rope``, ``attention``, ``splash``), ``branch`` the context encoder, ``vae``
the autoencoder, ``t5`` and ``tokenizer`` the text encoder. ``injection``, ``id_resample`` and ``lora`` extend the
backbone; ``inpaint`` runs one forward pass of all. ``config`` describes models, ``variants`` names the published ones.
"""
