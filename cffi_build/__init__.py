"""How the engine becomes files that users install: the Python extension, wheels, the C package."""
