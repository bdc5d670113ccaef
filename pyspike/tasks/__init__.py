"""Host pre- and post-processing of the model families, outside the integer graph; NumPy alone."""
