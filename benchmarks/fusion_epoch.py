"""One epoch of MHSAFusionClassifier against a hand-written loop."""

import time

import numpy as np
import torch
from _harness import compare, embeddings

from skmissing.fusion import MHSAFusionClassifier

WIDTHS, EPOCHS, BATCH = [768, 1024, 768], 3, 64
X = embeddings(20_000, WIDTHS)
y = np.arange(len(X)) % 5
torch.manual_seed(0)


def ours(epochs):
    start = time.perf_counter()
    MHSAFusionClassifier(
        modalities=WIDTHS, hidden_dim=64, batch_size=BATCH, max_epochs=epochs,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    return time.perf_counter() - start


module = MHSAFusionClassifier(modalities=WIDTHS, hidden_dim=64, max_epochs=1)
module = module.fit(X[:500], y[:500]).net_.module_.float()
values, targets = torch.from_numpy(X), torch.from_numpy(y)
present = torch.ones(len(X), len(WIDTHS), dtype=torch.bool)


def by_hand(epochs):
    start = time.perf_counter()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)
    module.train()
    for _ in range(epochs):
        order = torch.randperm(len(values))
        for index in order.split(BATCH):
            optimizer.zero_grad()
            logits = module(values[index], present[index]).logits
            torch.nn.functional.cross_entropy(logits, targets[index]).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
    return time.perf_counter() - start


compare(
    "One epoch of MHSAFusionClassifier against a hand-written PyTorch loop",
    lambda: (ours(1 + EPOCHS) - ours(1)) / EPOCHS,
    lambda: by_hand(EPOCHS) / EPOCHS,
    target=1.2,
    shape="n=20000, widths 768/1024/768, hidden 64, batches of 64",
    repeats=5,
)
