"""The one training loop: resumed to the same weights, saved when interrupted, stopped when the loss is not finite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, TrainingError
from edgekd.signals import held_signals
from edgekd.training.checkpoints import load_checkpoint, save_checkpoint

CHECK_EVERY = 25  # Iterations between looks at the loss; a look makes the host wait for the device.
SAVE_SECONDS = 60.0  # Between checkpoints: what a power cut costs at most, however long an iteration takes.

OnStep = Callable[[int, float], None]  # Iterations done, mean loss since the last call.


def optimise(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_at: Callable[[int], Tensor],
    learning_rate_at: Callable[[int], float],
    iterations: int,
    checkpoint: Path,
    on_step: OnStep,
    save_every: int = 500,
    on_save: Callable[[int], None] = lambda iteration: None,
    owner: str = "",
) -> None:
    """Trains a module for a number of iterations, from its checkpoint if there is one.

    Everything random in an iteration must follow from its number, so that a run that was interrupted ends with the
    weights of one that was not.

    Args:
        module: What is trained; its state dict is what a checkpoint keeps.
        optimizer: Over the module's parameters; a group's `factor` multiplies its learning rate.
        loss_at: The loss of an iteration, from its number.
        learning_rate_at: The learning rate of an iteration, from its number.
        iterations: How many in all, those before the checkpoint included.
        checkpoint: The file to resume from and to save to.
        on_step: Called every 25 iterations and at the end.
        save_every: Iterations between checkpoints; one is due each minute too.
        on_save: Called after each checkpoint with the iterations done, but for the last.
        owner: Of `edgekd.training.checkpoints.owner_of`; empty for none.

    Raises:
        TrainingError: The loss is no longer a finite number.
        KeyboardInterrupt, EdgekdError: Passed on, after saving. SIGINT, SIGTERM and SIGHUP, which are held back until
            an iteration is done, are delivered after saving.
    """
    done = load_checkpoint(checkpoint, module, optimizer, owner) if checkpoint.exists() else 0
    saved = reported = done
    saved_at = time.monotonic()
    running = torch.zeros((), device=next(module.parameters()).device)
    with held_signals() as interrupted:
        try:
            for iteration in range(done, iterations):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(iteration) * group.get("factor", 1.0)
                loss = loss_at(iteration)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done = iteration + 1
                running += loss.detach()
                stop, due = interrupted(), time.monotonic() - saved_at >= SAVE_SECONDS
                if stop or due or done % CHECK_EVERY == 0 or done == iterations:
                    mean = float(running) / (done - reported)
                    _require_finite(mean, done, checkpoint)
                    running.zero_()
                    reported = done
                    on_step(done, mean)
                if stop:
                    raise KeyboardInterrupt
                if (due or done % save_every == 0) and done < iterations:
                    save_checkpoint(checkpoint, module, optimizer, done, owner)
                    saved, saved_at = done, time.monotonic()
                    on_save(done)
        except TrainingError:
            raise  # The weights are NaN; those of the checkpoint are not.
        except (KeyboardInterrupt, EdgekdError):
            if done > saved:
                save_checkpoint(checkpoint, module, optimizer, done, owner)
            raise
        if done > saved or not checkpoint.exists():
            save_checkpoint(checkpoint, module, optimizer, done, owner)


def _require_finite(loss: float, iteration: int, checkpoint: Path) -> None:
    if not math.isfinite(loss):
        kept = f"; the last checkpoint is kept in {checkpoint}" if checkpoint.exists() else ""
        raise TrainingError(f"the loss became {loss} near iteration {iteration}: lower --learning-rate{kept}")
