"""Numba kernels: arrays in, arrays out, integers only; nothing here imports the rest of lmarc."""
