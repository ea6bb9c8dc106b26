"""routepact's simulator: road networks, demand, traffic, worlds and their comparison."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("routepact")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"
