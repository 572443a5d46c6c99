"""The mathematics of diffusion on arrays and callables, without any model.

``schedule`` has the noise levels, ``steps`` the samplers as tables, ``sampler`` the denoising loop, ``guidance`` and
``noise`` what enters it; ``predict`` converts velocities, ``loss`` is the training objective.
"""
