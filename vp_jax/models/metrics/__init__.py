"""Networks that scores need: LPIPS, CLIP, I3D, RAFT, DINOv2, VideoMAE. `description` lists them."""
