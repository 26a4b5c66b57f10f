"""Schedules of CUDA kernels: texts that are more than a loop over entries or rows, with the contract of their launch as data."""
