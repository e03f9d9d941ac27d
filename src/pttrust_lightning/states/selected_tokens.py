"""A token-wise module that runs where its output is used only."""

from __future__ import annotations

from torch import Tensor, nn


class SelectedTokens(nn.Module):
    """Runs a module that treats each token by itself on some tokens; the others get zeros.

    The MLP is two thirds of a decoder block's work, and of the last block that is read only the lines' tokens are used.

    Args:
        inner: The module, ``(B, S, D)`` to ``(B, S, D)``.

    Attributes:
        tokens: Rows of the flattened input that it runs on, ``(N,)``; None: all.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.tokens: Tensor | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        """The inner module's output at the tokens, ``(B, S, D)``."""
        if self.tokens is None:
            return self.inner(hidden)  # type: ignore[no-any-return]
        flat = hidden.flatten(0, 1)
        found = self.inner(flat[self.tokens][None])[0]
        return flat.new_zeros(flat.shape).index_copy_(0, self.tokens, found).view_as(hidden)
