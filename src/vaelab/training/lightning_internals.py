"""lightning_internals."""

from collections.abc import Iterable

from lightning import Callback, LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision, Precision

EACH_STEP = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_train_batch_end",
)  # fmt: skip


def drop_idle_hooks(listeners: Iterable[Callback | LightningModule]) -> None:
    """Lightning calls all hooks of everybody at every step, the empty ones too, but not those that are None."""
    for listener in listeners:
        base = Callback if isinstance(listener, Callback) else LightningModule
        for hook in EACH_STEP:
            if getattr(type(listener), hook) is getattr(base, hook):
                setattr(listener, hook, None)


class Bfloat16Products(MixedPrecision):
    """bf16-mixed that clips gradients under fused optimizers too.

    Lightning refuses that for the sake of loss scaling, which float16 needs and bfloat16 has not.
    """

    def __init__(self, device: str) -> None:
        super().__init__("bf16-mixed", device)

    clip_gradients = Precision.clip_gradients
