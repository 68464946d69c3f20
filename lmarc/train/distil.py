"""A student learns what a teacher says of every nibble, not only which one came.

Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, arXiv:1503.02531, at a
temperature of 1: distributions that code text are soft enough. The teacher goes along with the same
text and the same mixture, so it is never wrong about what the mixture knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lmarc.train.correction import LN2, Corrector

if TYPE_CHECKING:
    from lmarc.train.loop import Course

__all__ = ["Teacher", "soft_cost"]


def soft_cost(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of two distributions over nibbles, in bits a byte.

    Parameters
    ----------
    logits, taught : float32, (B, T, 2, 16)
        The student's and the teacher's log2-probabilities, each but for a sum.
    """
    share = torch.softmax(taught * LN2, 3)
    nats = torch.log_softmax(logits * LN2, 3)
    return -(share * nats).sum((2, 3)).mean() / LN2


class Teacher:
    """A network that has learnt, and where it is in each row's text."""

    def __init__(self, net: Corrector[Any], settings: Course) -> None:
        self.net = net.to(settings.device).requires_grad_(False)
        self.soft = settings.soft
        self.hidden = net.initial(settings.rows)

    def mixed(
        self,
        costs: torch.Tensor,
        logits: torch.Tensor,
        batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        fresh: torch.Tensor,
    ) -> torch.Tensor:
        """Return what a student minimises, and go on by a batch.

        Parameters
        ----------
        costs : float32, (B, T)
            Bits of each byte by the student.
        logits : float32, (B, T, 2, 16)
            The student's.
        batch : tensors
            before, text, freqs, as `ByteNetwork.forward` takes them.
        fresh : bool, (B,)
            Rows that begin a chunk.
        """
        with torch.no_grad():
            taught, self.hidden = self.net.logits(*batch, self.hidden.fresh(fresh))
        return (1 - self.soft) * costs.mean() + self.soft * soft_cost(logits, taught)
