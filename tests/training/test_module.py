"""The LightningModule inside a real Trainer, on little data."""

import pytest
import torch
from compositions import module_of, small_data
from lightning import Trainer

from vaelab.data.datamodule import ImageDataModule
from vaelab.training.lightning_internals import Bfloat16Products
from vaelab.training.module import TrainingDiverged, VAEModule
from vaelab.training.schedules import Constant


def fit(module: VAEModule, data: ImageDataModule, epochs: int = 1, **options) -> Trainer:
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False, log_every_n_steps=2,
        **options,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return trainer


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")


def test_beta_and_learning_rate_follow_the_step():
    seen = []

    class Watched(VAEModule):
        def _log_training(self, step: int) -> None:
            super()._log_training(step)
            seen.append((step, self.latest["schedule/beta"], self.latest["schedule/lr"]))

    module = module_of("beta=linear", "beta.weight=4", "beta.warmup=0.5", "lr.warmup=0", "optimizer.lr=0.1")
    module.__class__ = Watched
    fit(module, small_data(), epochs=4)  # 16 steps
    assert module.steps == 16
    by_step = {step: (beta, lr) for step, beta, lr in seen}
    assert by_step[3] == pytest.approx((4 * 3 / 8, 0.1 * module.lr(3, 16)))
    assert by_step[15] == pytest.approx((4.0, 0.1 * module.lr(15, 16)))


def test_the_objective_infers_at_the_progress_and_the_labels_of_the_step():
    module = module_of("model=cvae", "loss=iwae", "loss.samples=6", "loss.first_samples=3", "loss.gradient_samples=2")
    module.steps = 10
    x, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    found = [module.infer((x, labels), step)[0] for step in (0, 6, 7, 10)]
    assert [len(inference.log_px) for inference in found] == [3, 3, 6, 6]
    assert [len(inference.drawn.z) for inference in found] == [2, 2, 2, 2]
    module.infer((x, labels), 10)[1].sum().backward()
    assert bool(module.model.label_images.grad[:4].any())
    assert not bool(module.model.label_images.grad[4:].any())


def test_val_elbo_is_at_beta_one_while_the_loss_is_weighted():
    module = module_of("beta.weight=10")
    trainer = fit(module, small_data())
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert metrics["elbo/val"] == pytest.approx(-metrics["rate/val"] - metrics["distortion/val"], rel=1e-5)
    assert metrics["loss/val"] == pytest.approx(metrics["distortion/val"] + 10 * metrics["rate/val"], rel=1e-5)


def test_the_precision_of_the_nll_is_chosen_and_its_error_stated():
    tested = {}
    for precision in ("32-true", "bf16-mixed"):
        module = module_of()
        module.precision = precision
        trainer = fit(module, small_data())
        trainer.test(module, datamodule=small_data(), verbose=False)
        tested[precision] = module.results
    full, fast = tested.values()
    assert "bf16_error" not in full
    assert 0 < fast["bf16_error"] < fast["nll_stderr"]
    assert full["nll"] != fast["nll"] == pytest.approx(full["nll"], abs=1)
    assert fast["elbo"] == full["elbo"]
    with pytest.raises(ValueError, match=r"evaluation\.precision must be .*got 'bf16'"):
        VAEModule(module.model, module.objective, Constant(), torch.optim.Adam, Constant(), precision="bf16")


def test_evaluation_neither_depends_on_batches_of_weights_nor_disturbs_training():
    weights = []
    for every in (1, 2):
        module = module_of()
        fit(module, small_data(), epochs=2, check_val_every_n_epoch=every)
        weights.append(module.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_test_metrics_agree_with_a_direct_computation():
    module, data = module_of(), small_data(binarize="static")
    trainer = fit(module, data)
    trainer.test(module, datamodule=data, verbose=False)
    results = module.results
    assert results["elbo"] == pytest.approx(-results["rate"] - results["distortion"])
    assert results["gap"] == pytest.approx(-results["elbo"] - results["nll"])
    assert results["gap"] > 0
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        many = module.model(x, 200)
        distortion, rate = -many.log_px.mean(), many.kl.mean()
        error = (x - module.model.decode(many.q.mean).mean).square().flatten(1).sum(1).mean()
    assert results["rate"] == pytest.approx(float(rate), rel=1e-5)
    assert results["distortion"] == pytest.approx(float(distortion), rel=0.01)
    assert results["mse"] == pytest.approx(float(error), rel=1e-5)
    trainer.test(module, datamodule=data, verbose=False)
    assert module.results == results  # the same noise, the same metrics


def test_an_autoencoder_reports_no_bound():
    module, data = module_of("model=ae"), small_data()
    trainer = fit(module, data)
    trainer.test(module, datamodule=data, verbose=False)
    assert set(module.results) == {"loss", "distortion", "mse"}


def test_steps_of_several_batches_are_logged_once():
    seen = []

    class Watched(VAEModule):
        def _log_training(self, step: int) -> None:
            super()._log_training(step)
            seen.append(step + 1)

    module = module_of()
    module.__class__ = Watched
    fit(module, small_data(batch_size=16), accumulate_grad_batches=2)  # 16 batches, 8 steps
    assert seen == [2, 4, 6, 8]


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_lower():
    module = module_of("optimizer.lr=1e20", "lr=constant")
    with pytest.raises(TrainingDiverged, match=r"the loss became .* by step .*: lower optimizer\.lr"):
        fit(module, small_data(), epochs=3)


def test_the_training_loop_waits_for_the_device_on_logging_steps_alone(monkeypatch):
    reads, by_step = [], {}
    for name in ("item", "tolist", "__float__", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def watched(self, *arguments, _original=original, _name=name, **keywords):
            reads.append(_name)
            return _original(self, *arguments, **keywords)

        monkeypatch.setattr(torch.Tensor, name, watched)

    class Watched(VAEModule):
        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
            reads.clear()
            loss = super().training_step(batch, batch_idx)
            by_step[batch_idx] = list(reads)
            return loss

    module = module_of()
    module.__class__ = Watched
    fit(module, small_data(batch_size=32))  # 8 steps, every second one logs
    assert [index for index, seen in sorted(by_step.items()) if seen] == [1, 3, 5, 7]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_clipped_whatever_the_precision(precision, clip):
    """What a diverged run's message recommends has to work with the optimizer that it ran with."""
    norms = []

    class Watched(VAEModule):
        def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
            if self.model.posterior.network[1][0].weight.grad is not None:
                gradients = [parameter.grad.norm() for parameter in self.parameters()]
                norms.append(float(torch.stack(gradients).norm()))

    module = module_of()
    module.__class__ = Watched
    options = {"plugins": [Bfloat16Products("cpu")]} if precision == "bf16-mixed" else {"precision": precision}
    fit(module, small_data(), gradient_clip_val=clip, **options)
    assert (max(norms) <= 0.5 * 1.01) == (clip is not None)


def test_evaluation_is_in_full_precision_also_of_a_bf16_run():
    module, data = module_of(), small_data()
    trainer = fit(module, data, plugins=[Bfloat16Products("cpu")])
    trainer.test(module, datamodule=data, verbose=False)
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        exact = float(module.model(x).kl.mean())
        with torch.autocast("cpu", torch.bfloat16):
            rounded = float(module.model(x).kl.mean())
    assert module.results["rate"] == pytest.approx(exact, rel=1e-6)
    assert rounded != pytest.approx(exact, rel=1e-6)


def test_weights_that_the_last_step_broke_are_no_success():
    module, data = module_of("optimizer.lr=1e30", "lr=constant"), small_data(train=64, val=0)
    trainer = fit(module, data)  # one step: its own loss is still finite, and so are weights of 1e30
    with pytest.raises(TrainingDiverged, match="the loss became"):
        trainer.test(module, datamodule=data, verbose=False)
    module.model.posterior.network[1][0].bias.data[0] = float("nan")
    with pytest.raises(TrainingDiverged, match="nan"):
        module.on_train_epoch_end()


def test_sample_counts_of_one_have_no_standard_error():
    with pytest.raises(ValueError, match=r"evaluation\.nll_samples must be at least 2"):
        VAEModule(module_of().model, module_of().objective, Constant(), torch.optim.Adam, None, nll_samples=1)
