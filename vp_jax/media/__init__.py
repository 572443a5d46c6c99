"""Videos, images and masks: the one reader and the one writer of each."""
