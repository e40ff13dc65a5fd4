"""Where torch computes, with how many threads, and with which random numbers."""

import contextlib
import threading

import torch
from threadpoolctl import ThreadpoolController

# Multiplications below which one thread is used. Several would then spend most of
# their time waiting for each other, and on a busy machine nearly all of it.
SMALL_WORK = 1 << 25

# Made after torch was imported, so that it knows of torch's threads.
_openmp = ThreadpoolController().select(user_api="openmp")


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
        return _openmp.limit(limits=1)
    return contextlib.nullcontext()


# torch has one generator a process and device: of two trainings in threads, each would
# draw from the other's numbers.
_seeding = threading.RLock()


@contextlib.contextmanager
def seeded(seed, device):
    """Seed torch's global generators, and put them back as they were.

    Other threads that want the same wait meanwhile.

    Parameters
    ----------
    seed : int
    device : torch.device
    """
    devices = [device] if device.type == "cuda" else []
    with _seeding, torch.random.fork_rng(devices):
        # torch.manual_seed would also seed the devices that were not forked.
        torch.default_generator.manual_seed(seed)
        for used in devices:
            with torch.cuda.device(used):
                torch.cuda.manual_seed(seed)
        yield


def resolve_device(device):
    """Turn the parameter `device` into a torch device that is there.

    Parameters
    ----------
    device : str
        `"auto"` is the current CUDA device if there is one, and otherwise the CPU.

    Returns
    -------
    torch.device
    """
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return torch.device("cuda" if n_cuda else "cpu")
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise ValueError(
            f"device={device!r} is not known; use 'auto', 'cpu', 'cuda' or 'cuda:1'."
        )
    if kind == "cuda" and int(index or 0) >= n_cuda:
        raise ValueError(
            f"device={device!r} asks for a CUDA device, but torch finds {n_cuda}."
        )
    return torch.device(device)
