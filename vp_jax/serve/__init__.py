"""The HTTP API and the page: videos, tracked masks and a queue of jobs on one device, as `vp-jax serve` starts them."""
