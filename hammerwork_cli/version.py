"""The version of the program, which its parts import without the package's public names."""

__version__ = "0.3.0"
