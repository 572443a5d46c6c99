"""Networks that scores need: LPIPS, CLIP, I3D, RAFT. `description` lists them."""
