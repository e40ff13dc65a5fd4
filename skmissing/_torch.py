"""Devices, threads and random numbers of torch."""

import contextlib

import torch
from threadpoolctl import ThreadpoolController

from skmissing._parallel import process_lock

# With fewer multiplications, one thread is used. Several threads would spend most of
# their time waiting for each other, especially on a busy machine.
SMALL_WORK = 1 << 25


@contextlib.contextmanager
def seeded(seed, device):
    """Seed torch's global generators, and restore them afterwards."""
    # Without the lock, trainings in several threads would share random numbers.
    devices = [device] if device.type == "cuda" else []
    with process_lock("generators of torch"), torch.random.fork_rng(devices):
        # torch.manual_seed would also seed the devices that were not forked.
        torch.default_generator.manual_seed(seed)
        for used in devices:
            with torch.cuda.device(used):
                torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def single_precision():
    """Context in which modules have float32 weights for any default of torch."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def few_threads(n_multiplications, device):
    """Context in which small work on the CPU is done by one thread."""
    if device.type == "cpu" and n_multiplications < SMALL_WORK:
        # torch sets the number of threads of OpenMP when a thread first computes. This
        # call makes it do so now, and not after the limit was set.
        torch.get_num_threads()
        return _openmp.limit(limits=1)
    return contextlib.nullcontext()


# Created after the import of torch, so that it includes torch's threads.
_openmp = ThreadpoolController().select(user_api="openmp")


def resolve_device(device, *, double=False):
    """Turn the parameter `device` into an available torch device."""
    counts = {"cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0}
    counts["mps"] = int(torch.backends.mps.is_available())
    if device == "auto":
        usable = [k for k, n in counts.items() if n and not (double and k == "mps")]
        return torch.device([*usable, "cpu"][0])
    kind, _, index = device.partition(":")
    if kind not in ("cpu", *counts) or (index and not index.isdigit()):
        try:  # an extension of torch may have it
            torch.zeros(1, device=device).cpu()
        except (RuntimeError, AssertionError, ImportError) as exc:
            raise ValueError(
                f"device={device!r} is not known; use 'auto', 'cpu', 'cuda', 'cuda:1', "
                "'mps', or another that torch can reach."
            ) from exc
        return torch.device(device)
    if double and kind == "mps":
        raise ValueError(
            f"device={device!r} has no double precision, which is needed here; use "
            "'cpu' or 'cuda'."
        )
    if kind in counts and int(index or 0) >= counts[kind]:
        article = {"cuda": "a CUDA", "mps": "an MPS"}[kind]
        raise ValueError(
            f"device={device!r} asks for {article} device, but torch finds "
            f"{counts[kind]}."
        )
    return torch.device(device)
