"""The machine: one compiled function that runs any law's log density with its gradient.

A law, its priors and its observation model are Python code on `ops`. `record` runs that code once on recorded
values; `gradient` differentiates the record; `assemble` turns it into a program, integers and numbers; `kernel`
runs programs, and `calls` has the log densities that these call by their address.
"""
