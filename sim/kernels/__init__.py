"""Numba kernels: functions on arrays and scalars that know no class."""
