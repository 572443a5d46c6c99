"""Networks that scores need: LPIPS, CLIP, I3D, RAFT, DINOv2. `description` lists them."""
