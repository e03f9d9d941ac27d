"""Muon for the blocks' matrices and AdamW for the rest, as one optimiser, so that Lightning steps and saves one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Push a matrix's singular values towards 1 by the quintic Newton-Schulz iteration. ``(M, N)`` to ``(M, N)``.

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon), with its coefficients: singular values end
    between about 0.7 and 1.2. In bfloat16, as published: the iteration is stable in it.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = (wide / wide.norm().clamp(min=1e-7)).bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Tensor = x.to(matrix.dtype)
    return result.mT if matrix.shape[0] > matrix.shape[1] else result


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters for Muon (matrices within the decoder blocks) and for AdamW (embedding, head, norms)."""
    muon: list[nn.Parameter] = []
    adamw: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        inside = ".layers." in name and parameter.ndim == 2
        (muon if inside else adamw).append(parameter)
    return muon, adamw


class MuonAdamW(torch.optim.Optimizer):
    """Muon on some parameters, AdamW on others.

    ``torch.optim.Muon`` is the same update; its fused ``addmm`` in bfloat16 is some 50 times slower on CPUs than the
    plain products here, longer than the whole training step, and it leaves the rest of the model to a second optimiser.

    Args:
        muon: Matrices, updated by their orthogonalised momentum, scaled to the RMS of an AdamW update (Liu et al. 2025,
            arXiv 2502.16982, eq. 4), so that one learning rate has one meaning.
        adamw: Parameters for AdamW.
        lr: Learning rate of the matrices.
        adamw_lr: Learning rate of the others.
        momentum: Muon's momentum (Nesterov).
        betas: AdamW's moments.
        weight_decay: Decoupled weight decay of the matrices; the others have none.
    """

    def __init__(
        self,
        muon: Iterable[nn.Parameter],
        adamw: Iterable[nn.Parameter],
        lr: float = 5e-3,
        adamw_lr: float = 3e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ) -> None:
        groups = [
            {"params": list(muon), "lr": lr, "kind": "muon", "momentum": momentum, "weight_decay": weight_decay},
            {"params": list(adamw), "lr": adamw_lr, "kind": "adamw", "betas": betas, "eps": 1e-8},
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["kind"] == "muon" else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group)
        return loss

    def _muon(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(grad)
        momentum = state["momentum"].lerp_(grad, 1 - group["momentum"])
        direction = orthogonalise(grad.lerp(momentum, group["momentum"]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(parameter.shape)))

    def _adamw(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update(step=0, first=torch.zeros_like(grad), second=torch.zeros_like(grad))
        beta1, beta2 = group["betas"]
        state["step"] += 1
        first = state["first"].lerp_(grad, 1 - beta1)
        second = state["second"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        scale = (second / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(first, scale, value=-group["lr"] / (1 - beta1 ** state["step"]))


def trapezoid(step: int, warmup: int, decay: int, total: int) -> float:
    """Learning-rate factor: up over ``warmup`` steps, flat, down to zero over the last ``decay`` of ``total`` steps.

    The flat part does not depend on ``total``: a run can be lengthened from a checkpoint taken before its decay.
    """
    rise = (step + 1) / max(warmup, 1)
    fall = (total - step) / max(decay, 1)
    return max(0.0, min(1.0, rise, fall))
