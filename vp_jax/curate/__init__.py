"""Raw videos to training data in VPData's layout: masks, captions and records, stage by stage (paper, section 3.1)."""
