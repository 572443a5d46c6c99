"""The stages of curation, one file each, behind the protocol `vp_jax.curate.record.CurationStage`."""
