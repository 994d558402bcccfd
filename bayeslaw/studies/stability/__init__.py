"""Over how many orders of magnitude the parameters of a law are stable."""
