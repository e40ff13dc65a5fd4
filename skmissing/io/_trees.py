"""Nodes of scikit-learn's decision trees, and the checks that keep them in bounds.

Compiled code walks through the nodes without looking whether a child or a column is
there. A tree of a file is therefore checked before any row meets it.
"""

import numpy as np

from skmissing._compat import tree_parts

Tree, NODE_DTYPE = tree_parts()
LEAF = -1  # scikit-learn's mark for a child that is not there


def tree_arrays(tree):
    """The state of a tree as plain arrays.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree

    Returns
    -------
    dict
    """
    state = tree.__getstate__()
    nodes = state["nodes"]
    columns = {
        name: np.ascontiguousarray(nodes[name])
        for name in nodes.dtype.names
        if nodes.dtype[name].kind in "fiub"
    }
    return {
        "n_features": int(tree.n_features),
        "n_classes": np.asarray(tree.n_classes, dtype=np.int64),
        "max_depth": int(state["max_depth"]),
        "nodes": columns,
        "values": np.ascontiguousarray(state["values"]),
    }


def make_tree(n_features, n_classes, max_depth, nodes, values):
    """Build a tree from what :func:`tree_arrays` gave, after checking it.

    Parameters
    ----------
    n_features : int
    n_classes : ndarray of shape (n_outputs,)
    max_depth : int
    nodes : dict of str to ndarray of shape (n_nodes,)
    values : ndarray of shape (n_nodes, n_outputs, most_classes)

    Returns
    -------
    sklearn.tree._tree.Tree

    Raises
    ------
    ValueError
        If it would make compiled code read where nothing is, or never end.
    """
    names = {name for name in NODE_DTYPE.names if NODE_DTYPE[name].kind in "fiub"}
    if not isinstance(nodes, dict) or nodes.keys() != names:
        raise ValueError(f"nodes of a tree: wanted the columns {sorted(names)}")
    if not all(
        isinstance(a, np.ndarray) and a.ndim == 1 and a.dtype == NODE_DTYPE[name]
        for name, a in nodes.items()
    ):
        raise ValueError(f"nodes of a tree: wanted columns of the dtypes {NODE_DTYPE}")
    if len({len(a) for a in nodes.values()}) != 1 or not len(nodes["feature"]):
        raise ValueError("nodes of a tree: wanted columns of one length, not empty")
    size = len(nodes["feature"])
    if not _is_array(n_classes, np.int64, 1) or not len(n_classes):
        raise ValueError("n_classes of a tree: wanted integers, one an output")
    if not _is_array(values, np.float64, 3) or n_classes.min() < 1:
        raise ValueError("values of a tree: wanted floats of three dimensions")
    if values.shape != (size, len(n_classes), n_classes.max()):
        raise ValueError(
            f"values of a tree: wanted the shape "
            f"{(size, len(n_classes), int(n_classes.max()))}; found {values.shape}"
        )
    for number, low in ((n_features, 1), (max_depth, 0)):
        if type(number) is not int or not low <= number < 1 << 31:
            raise ValueError(f"n_features and max_depth of a tree: found {number!r}")
    _check_nodes(nodes, size, n_features, max_depth)
    if not np.isfinite(values).all():
        raise ValueError("values of a tree: wanted finite numbers")
    packed = np.zeros(size, dtype=NODE_DTYPE)
    for name, column in nodes.items():
        packed[name] = column
    tree = Tree(n_features, n_classes.astype(np.intp), len(n_classes))
    tree.__setstate__(
        {
            "max_depth": max_depth,
            "node_count": size,
            "nodes": packed,
            "values": np.ascontiguousarray(values),
        }
    )
    return tree


def _is_array(value, dtype, n_dimensions):
    return (
        isinstance(value, np.ndarray)
        and value.dtype == dtype
        and value.ndim == n_dimensions
    )


def _check_nodes(nodes, size, n_features, max_depth):
    """Children come after their parent and have one parent; features exist."""
    left, right = nodes["left_child"], nodes["right_child"]
    leaf = left == LEAF
    if (leaf != (right == LEAF)).any():
        raise ValueError("nodes of a tree: one child is there, the other is not")
    inner = np.flatnonzero(~leaf)
    children = np.concatenate([left[inner], right[inner]])
    if ((children <= np.tile(inner, 2)) | (children >= size)).any():
        raise ValueError("nodes of a tree: a child is not among the nodes that follow")
    if not np.array_equal(np.sort(children), np.arange(1, size)):
        raise ValueError("nodes of a tree: a node has no parent, or has two")
    feature = nodes["feature"][inner]
    if ((feature < 0) | (feature >= n_features)).any():
        raise ValueError(f"nodes of a tree: a split is on none of {n_features} columns")
    if np.isnan(nodes["threshold"][inner]).any():
        raise ValueError("nodes of a tree: a threshold is NaN")
    depth = np.zeros(size, dtype=np.int64)
    for node in inner:
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    if depth.max() != max_depth:
        raise ValueError(
            f"max_depth of a tree: wanted {depth.max()}; found {max_depth}"
        )
