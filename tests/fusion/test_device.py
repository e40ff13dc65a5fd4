"""Devices, threads, generators, and the type that weights are made in."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

from skmissing._torch import SMALL_WORK, few_threads, resolve_device, seeded

CPU = torch.device("cpu")


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("device", ["tpu", "cuda:x", "meta", ""])
def test_unknown_device(double, device):
    with pytest.raises(ValueError, match=f"device='{device}' is not known; use 'auto'"):
        resolve_device(device, double=double)


@pytest.mark.parametrize("double", [False, True])
def test_device_that_is_not_there(double):
    with pytest.raises(ValueError, match="device='cuda:99' asks for a CUDA device"):
        resolve_device("cuda:99", double=double)


@pytest.mark.parametrize("cuda", [0, 2])
@pytest.mark.parametrize("mps", [False, True])
def test_which_device(monkeypatch, cuda, mps):
    """CUDA before Apple's GPU before the CPU; no MPS for double precision."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    single, double = resolve_device, partial(resolve_device, double=True)
    found = single("auto").type, double("auto").type
    assert found == (
        "cuda" if cuda else "mps" if mps else "cpu",
        "cuda" if cuda else "cpu",
    )
    assert single("cpu") == double("cpu") == CPU
    if cuda:
        assert single("cuda:1") == double("cuda:1") == torch.device("cuda:1")
    if mps:
        assert single("mps") == torch.device("mps")
    else:
        with pytest.raises(ValueError, match="'mps' asks for an MPS device.*finds 0"):
            single("mps")
    with pytest.raises(ValueError, match="device='mps' has no double precision"):
        double("mps")


def test_seeded_puts_the_generator_back():
    """Draws inside depend on the seed alone; those outside do not notice."""
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with seeded(7, CPU):
        inside = nn.Linear(2, 2).weight
    assert torch.equal(torch.rand(2), expected)
    with seeded(7, CPU):
        assert torch.equal(nn.Linear(2, 2).weight, inside)


@pytest.mark.skipif(torch.get_num_threads() == 1, reason="torch has one thread")
def test_small_work_takes_one_thread():
    before = torch.get_num_threads()
    with few_threads(1, CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    for work, device in [(SMALL_WORK, CPU), (1, torch.device("cuda"))]:
        with few_threads(work, device):
            assert torch.get_num_threads() == before


def test_small_work_in_a_thread_new_to_torch():
    def work():
        with few_threads(1, CPU):
            inside = torch.get_num_threads()
            torch.ones(1 << 16).sin()
        return inside, torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(work).result() == (1, 3)
    finally:
        torch.set_num_threads(before)
