"""A fit's tree in one netCDF file, and the hashes that tell whether it was altered."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError
from bayeslaw.core.files import check_place, write_bytes
from bayeslaw.core.storage import lasting, restored, storable

FORMAT = 1


def write_tree(tree: xr.DataTree, path: str | os.PathLike) -> Path:
    """Write a tree to one netCDF file with the hash of its contents, whole or not at all.

    Parameters
    ----------
    tree : xarray.DataTree
    path : path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = check_place(path)
    tree = _each_group(tree, lasting)
    tree.attrs["content_hash"] = content_hash(tree)
    # In memory first: HDF5 does not survive a disk that fills while it writes.
    return write_bytes(path, _each_group(tree, storable).to_netcdf(engine="h5netcdf"))


def read_tree(path: str | os.PathLike) -> xr.DataTree:
    """Read a tree that `write_tree` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    xarray.DataTree

    Raises
    ------
    InputError
        If the file cannot be read as one.
    """
    try:
        with h5py.File(path):  # h5netcdf leaves noise behind when this fails
            pass
        # A unit such as "days" does not make a column a date.
        with xr.open_datatree(path, engine="h5netcdf", decode_times=False) as opened:
            return _each_group(opened.load(), restored)
    except Exception as error:  # h5py raises many kinds; all mean the same to a user
        raise InputError(f"{path}: cannot be read as a fit ({error}).") from None


def _each_group(tree: xr.DataTree, change: Callable[[xr.Dataset], xr.Dataset]) -> xr.DataTree:
    return xr.DataTree.from_dict({n.path: change(n.to_dataset(inherit=False)) for n in tree.subtree})


def data_hash(data: xr.Dataset) -> str:
    """Return a SHA-256 of a dataset's names and values, whatever the order of its variables."""
    digest = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        values = data[name].values
        digest.update(name.encode("utf-8", "surrogatepass"))
        if values.dtype.kind in "fiub":
            digest.update(np.ascontiguousarray(values, dtype=float).tobytes())
        else:
            digest.update("\0".join(map(str, values.ravel())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def content_hash(tree: xr.DataTree) -> str:
    """Return a SHA-256 of a tree's groups, their names, values and attributes."""
    digest = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda n: n.path):
        group = node.to_dataset(inherit=False)
        attrs = sorted((name, str(value)) for name, value in group.attrs.items())
        digest.update(f"{node.path} {attrs} {data_hash(group)}".encode())
    return digest.hexdigest()
