"""The look that the packaged model was trained on."""
