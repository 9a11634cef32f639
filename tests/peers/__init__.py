"""Calls that PyTorch understands, too, and their comparison; these modules import it."""
