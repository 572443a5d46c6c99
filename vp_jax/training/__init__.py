"""The mathematics of training: encoders in front of the step, the step, its optimizer and state, operation counts."""
