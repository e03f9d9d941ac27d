"""The auxiliary loss that revives dead latents."""

from __future__ import annotations

from torch import Tensor

from pttrust_lightning.losses._precision import full_precision


def aux_k(residual: Tensor, residual_reconstruction: Tensor, eps: float = 1e-8) -> Tensor:
    """AuxK (Gao et al., arXiv 2406.04093, section 2.4): dead latents model what the live ones left over.

        L_aux = sum ||e - e_hat||^2 / sum ||e||^2,    e = LN(s) - (W_dec z + b_pre),    e_hat = W_dec z_dead

    The denominator keeps the term's size near 1 whatever the residual's. The residual is a target: no gradient runs
    through it.

    Args:
        residual: e, in standardised units, ``(N, D)``.
        residual_reconstruction: e_hat, from the k_aux strongest dead latents alone, ``(N, D)``.
        eps: Keeps a perfect reconstruction from dividing by zero.

    Returns:
        A scalar.
    """
    target = full_precision(residual).detach()
    error = (target - full_precision(residual_reconstruction)).square().sum()
    return error / (target.square().sum() + eps)
