"""The look with light: shaded things, soft shadows, backgrounds with structure."""
