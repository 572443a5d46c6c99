"""The program around training: settings, data, the loop, validation, training checkpoints, exports."""
