"""Fits: the PyMC model sampled by NUTS, and the Huber/L-BFGS point fit.

Only this package imports PyMC, PyTensor or nutpie.
"""
