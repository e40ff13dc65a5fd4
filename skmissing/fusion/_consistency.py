"""What a row's prediction from fewer modalities has to do with that from more.

Each step then sees every row twice: with all that it has, and with what masking left.
The loss is that of both views and one more term, which ties the two together.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

# Above 1, distillation also tells how the unlikely classes compare.
TEMPERATURE = 2.0


@dataclass(frozen=True)
class View:
    """What the network makes of one view of the rows.

    Attributes
    ----------
    logits : Tensor of shape (n_rows, n_outputs)
    fused : Tensor of shape (n_rows, width)
    loss : Tensor of shape (n_rows,)
    """

    logits: torch.Tensor
    fused: torch.Tensor
    loss: torch.Tensor


def ranking_gap(fuller, reduced, task):
    """By how much more modalities make the loss larger, by row (SimMLM's MoFe).

    Parameters
    ----------
    fuller, reduced : View
    task : {"multiclass", "labels", "regression"}

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    del task
    return F.relu(fuller.loss - reduced.loss)


def distillation(fuller, reduced, task):
    """Distance of the reduced view's answer from the fuller one's, by row.

    Parameters
    ----------
    fuller, reduced : View
    task : {"multiclass", "labels", "regression"}
        For classes and labels the Kullback-Leibler divergence at a temperature, times
        its square; for numbers the squared difference.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    teacher, student = fuller.logits.detach(), reduced.logits
    if task == "regression":
        return (teacher - student).square().mean(dim=1)
    if task == "labels":  # each label is a choice of two
        teacher, student = (
            torch.stack([z, torch.zeros_like(z)], dim=2) for z in (teacher, student)
        )
    teacher = F.log_softmax(teacher / TEMPERATURE, dim=-1)
    student = F.log_softmax(student / TEMPERATURE, dim=-1)
    divergence = F.kl_div(student, teacher, reduction="none", log_target=True)
    return TEMPERATURE**2 * divergence.flatten(1).sum(dim=1)


def alignment(fuller, reduced, task):
    """1 minus the cosine of the two views' representations, by row (MissModal).

    Parameters
    ----------
    fuller, reduced : View
    task : {"multiclass", "labels", "regression"}

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    del task
    return 1 - F.cosine_similarity(reduced.fused, fuller.fused.detach(), dim=1)


CONSISTENCY = {"align": alignment, "distill": distillation, "mofe": ranking_gap}
WEIGHTS = {"align": 0.1, "distill": 1.0, "mofe": 0.1}


@dataclass(frozen=True)
class Consistency:
    """The part of the loss that ties the two views together.

    Attributes
    ----------
    kind : {"align", "distill", "mofe"}
    weight : float
    """

    kind: str
    weight: float

    def terms(self, fuller, reduced, target, criterion):
        """Named terms beside those of the reduced view.

        Parameters
        ----------
        fuller, reduced : FusionOutput
        target : dict of Tensor
        criterion : TaskLoss

        Returns
        -------
        dict of str to Tensor
            `"fuller"`, the fuller view's loss of the task, and `"consistency"`, the
            mean over all rows, those in which nothing was hidden counting as 0.
            Weights of rows are for the task alone.
        """
        views = [
            View(o.logits, o.fused, criterion.by_row(o.logits, target["y"]))
            for o in (fuller, reduced)
        ]
        gap = CONSISTENCY[self.kind](*views, criterion.task)
        same = (fuller.present == reduced.present).all(dim=1)
        gap = gap.masked_fill(same, 0.0)
        return {
            "fuller": (views[0].loss * target["weight"]).mean(),
            "consistency": self.weight * gap.mean(),
        }
