"""The executable specification: the file reader, the operators and the gating in NumPy, without the compiled engine."""
