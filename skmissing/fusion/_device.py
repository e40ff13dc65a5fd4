"""Where the networks compute, and with how many threads."""

import contextlib
from functools import partial

import torch
from threadpoolctl import ThreadpoolController

from skmissing import _torch

# Multiplications below which one thread is used. Several would then spend most of
# their time waiting for each other, and on a busy machine nearly all of it.
SMALL_WORK = 1 << 25

# Made after torch was imported, so that it knows of torch's threads.
_openmp = ThreadpoolController().select(user_api="openmp")

# Predictions are made in double precision.
resolve_device = partial(_torch.resolve_device, double=True)


def few_threads(n_multiplications, device):
    """Context in which small work on the CPU is done by one thread.

    Parameters
    ----------
    n_multiplications : int
        In one call of the network, about.
    device : torch.device

    Returns
    -------
    context manager
    """
    if device.type == "cpu" and n_multiplications < SMALL_WORK:
        # torch hands OpenMP its number of threads when a thread first computes. Asked
        # for the number it does so now, and not after the limit was set.
        torch.get_num_threads()
        return _openmp.limit(limits=1)
    return contextlib.nullcontext()
