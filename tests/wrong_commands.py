"""Wrong commands, what their line must say, and what it must tell to type instead: the one table of them.

A row has the words of the command (the last one is wrong), the texts that the line must contain, and the words that it
tells to type in place of the last one: "" where the wrong word is to be left out, None where the line names the values
that are possible. The pieces of ``PIECES`` are in the module ``mine``.
"""

import shlex
from typing import NamedTuple


class Row(NamedTuple):
    line: str
    says: tuple[str, ...]
    instead: str | None

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)

    @property
    def remedy(self) -> list[str]:
        """The words of the command that the line tells to type."""
        return [*self.words[:-1], *shlex.split(self.instead or "")]


PIECES = """
import torch
from torch.distributions import Bernoulli, Distribution, Independent, Normal, Poisson, StudentT
from vaelab.evaluation.metrics import Metric
from vaelab.evaluation.own import Measure
from vaelab.models.contracts import Objective, Prior, Schedule
from vaelab.models.likelihoods import BernoulliLikelihood
from vaelab.models.networks import MLP
from vaelab.models.posteriors import GaussianPosterior
from vaelab.plots.own import Plot


class NoDistribution(GaussianPosterior):
    def forward(self, x):
        return self.outputs(x)


class OneImage(GaussianPosterior):
    def forward(self, x):
        return super().forward(x[:1])


class NoGradient(GaussianPosterior):
    def forward(self, x):
        return Independent(Poisson(super().forward(x).stddev), 1)


class MeanLoss(Objective):
    def __init__(self, samples, free_bits, kl):
        pass

    def __call__(self, inference, beta, progress=1.0):
        return inference.kl.mean()


def function(samples, free_bits, kl):
    return abs


class Plain(torch.nn.Module):
    def __init__(self, latent):
        super().__init__()


class Late(Prior):
    def __init__(self, latent):
        self.register_buffer("loc", torch.zeros(latent))
        super().__init__()

    def forward(self, posterior):
        return Independent(Normal(self.loc, 1.0), 1)


class Never(Prior):
    def __init__(self, latent):
        self.latent = latent

    def forward(self, posterior):
        return Independent(Normal(torch.zeros(self.latent), 1.0), 1)


class NoForward(Prior):
    def __init__(self, latent):
        super().__init__()


class NoOption(Prior):
    def forward(self, posterior):
        return Independent(Normal(torch.zeros(4), 1.0), 1)


class Student(Prior):
    is_product = True

    def __init__(self, latent):
        super().__init__()
        self.latent = latent

    def forward(self, posterior):
        return Independent(StudentT(3 * torch.ones(self.latent)), 1)


class Net:
    def __init__(self, image, hidden, activation, output, gated, init):
        pass


class Nan(GaussianPosterior):
    def forward(self, x):
        return Independent(Normal(self.outputs(x)[:, :4] * torch.nan, 1.0, validate_args=False), 1)


class NanScale(GaussianPosterior):
    def forward(self, x):
        return Independent(Normal(self.outputs(x)[:, :4], torch.nan), 1)


class Detached(GaussianPosterior):
    def forward(self, x):
        q = super().forward(x)
        return Independent(Normal(q.mean.detach(), q.stddev.detach()), 1)


class Behind(Prior):
    def __init__(self, latent):
        super().__init__()
        self.loc = torch.zeros(latent)

    def forward(self, posterior):
        return Independent(Normal(self.loc, 1.0), 1)


class Kept(Prior):
    def __init__(self, latent):
        super().__init__()
        self.p = Independent(Normal(torch.zeros(latent), 1.0), 1)

    def forward(self, posterior):
        return self.p


class NoDensity(Distribution):
    arg_constraints = {}

    def __init__(self, outputs):
        super().__init__(outputs.shape[:-3], outputs.shape[-3:])
        self.outputs = outputs


class NoDensities(BernoulliLikelihood):
    def forward(self, z):
        return NoDensity(self.outputs(z))


class NoMean(NoDensity):
    def log_prob(self, x):
        return self.outputs.sum((-3, -2, -1))


class NoMeans(BernoulliLikelihood):
    def forward(self, z):
        return NoMean(self.outputs(z))


class PerPixel(BernoulliLikelihood):
    def forward(self, z):
        return Normal(self.outputs(z), 1.0)


class Grey(BernoulliLikelihood):
    def forward(self, z):
        return Independent(Bernoulli(logits=self.outputs(z)), 3)


class InfiniteLoss(MeanLoss):
    def __call__(self, inference, beta, progress=1.0):
        return inference.rate / 0.0


class NoLoss(MeanLoss):
    def __call__(self, inference, beta, progress=1.0):
        return inference.rate.detach()


class Wide(MLP):
    def encoder(self, outputs):
        return super().encoder(2 * outputs)


class Flat(MLP):
    def decoder(self, latent, channels):
        return torch.nn.Linear(latent, channels * 784)


class NoModule(MLP):
    def encoder(self, outputs):
        return lambda x: x


class Unsteady(Schedule):
    def __init__(self, weight):
        pass

    def __call__(self, step, steps):
        return float("nan") if step else 1.0


class Tensors(Unsteady):
    def __call__(self, step, steps):
        return torch.ones(())


class NotMeasured(Measure):
    def __call__(self, evaluated):
        return 0.0


class Nll(NotMeasured):
    metric = Metric("nll", "nats", "another one")


class Better(NotMeasured):
    metric = Metric("mine", "nats", "another one", "more")


class Samples(Plot):
    def __call__(self, run):
        return None
"""


def row(line: str, *says: str, instead: str | None = None) -> Row:
    return Row(line, says, instead)


PCA = "model=pca network.hidden=[]"
MIXTURE = "model=mixture network.hidden=[]"
AT_LEAST_1 = "must be a whole number of at least 1"

TYPOS = [
    row("latnt=3", "no option 'latnt'", instead="latent=3"),
    row("beta.wieght=3", "no option 'beta.wieght'", instead="beta.weight=3"),
    row("optimzer.lr=1", "no option 'optimzer.lr'", instead="optimizer.lr=1"),
    row("trainer.max_epoch=2", "no option 'trainer.max_epoch'", instead="trainer.max_epochs=2"),
    row("componants=3", "no option 'componants'", "model=mixture", instead="model=mixture components=3"),
    row("beta.wramup=0.1", "no option 'beta.wramup'", instead="beta=cosine beta.warmup=0.1"),
    row("batch_size=64", "no option 'batch_size'", instead="data.batch_size=64"),
    row("sigma=0.5", "no option 'sigma'", instead="likelihood=gaussian likelihood.sigma=0.5"),
    row("hydra.foo=1", "no option 'hydra.foo'", instead=""),
    row("foo/bar=1", "no option 'foo/bar'", instead=""),
    row("+trainer.max_step=3", "no option 'max_step'", "did you mean trainer.max_steps"),
    row("+trainer.speed=3", "no option 'speed'", instead=""),
    row("accelerator=ddp_cpu +trainer.speed=3", "no option 'speed'", instead=""),
]

# An option that the chosen member of its group does not have, and other members have.
OTHER_MEMBERS = [
    row(
        "beta.warmup=0.1",
        "beta=constant has no option 'warmup'",
        "cosine, cyclical, linear, sigmoid",
        instead="beta=cosine beta.warmup=0.1",
    ),
    row("+beta.warmup=0.1", "beta=constant has no option 'warmup'", instead="beta=cosine beta.warmup=0.1"),
    row("beta=linear beta.cycles=2", "beta=linear has no option 'cycles'", instead="beta=cyclical beta.cycles=2"),
    row(
        "prior.components=10",
        "prior=normal has no option 'components'",
        "mixture, vamp",
        instead="prior=mixture prior.components=10",
    ),
    row("loss=iwae loss.free_bits=0.1", "loss=iwae has no option 'free_bits'", instead="loss=elbo loss.free_bits=0.1"),
    row(
        "likelihood.sigma=0.5",
        "likelihood=bernoulli has no option 'sigma'",
        "gaussian, squared_error",
        instead="likelihood=gaussian likelihood.sigma=0.5",
    ),
    row(
        "network.channels=[4]",
        "network=mlp has no option 'channels'",
        "conv, resnet",
        instead="network=conv network.channels=[4]",
    ),
    row("+network.depth=3", "network=mlp has no option 'depth'", instead=""),
    row("+optimizer.speed=3", "optimizer=adam has no option 'speed'", instead=""),
    row(
        "optimizer.momentum=0.9",
        "optimizer=adam has no option 'momentum'",
        instead="optimizer=muon optimizer.momentum=0.9",
    ),
    row("components=3", "model=vae has no option 'components'", instead="model=mixture components=3"),
    row("bottom=2", "model=vae has no option 'bottom'", instead="model=hvae bottom=2"),
    row("model.classes=10", "model=vae has no option 'classes'", instead="model=cvae model.classes=10"),
    row("data.split=letters", "data=mnist5k has no option 'split'", instead="data=emnist data.split=letters"),
    row(
        "accelerator=ddp_cpu beta.warmup=0.1",
        "beta=constant has no option 'warmup'",
        instead="beta=cosine beta.warmup=0.1",
    ),
    row(
        f"{PCA} likelihood=bernoulli",
        "model=pca sets likelihood.mean, which likelihood=bernoulli does not have",
        instead="",
    ),
    row(
        "optimizer._target_=torch.optim.SGD",
        "optimizer=adam sets optimizer.betas",
        "torch.optim.SGD",
        instead="optimizer._target_=torch.optim.SGD ~optimizer.betas",
    ),
]

MEMBERS = [
    row("model=vea", "model=vea", "noisy_ae, pca, vae", "did you mean model=vae?", instead="model=vae"),
    row("accelerator=cuda", "accelerator=cuda", "ddp_cpu", "gpu"),
    row("experiment=seed/gan", "experiment=seed/gan", "seed/ae, seed/deep_ae", instead="experiment=seed/ae"),
    row("hydra/launcher=nowhere", "hydra/launcher=nowhere", "joblib, ray"),
    row("network=", "network=", "conv, linear, mlp, resnet"),
    row("beta=2", "beta=2", "constant, cosine", instead="beta.weight=2"),
    row("beta=range", "beta=range is for model=multirate", instead="beta=constant"),
    row("model=multirate beta=constant", "trained on a range of beta", instead="beta=range"),
    row(
        "model=multirate beta.weight=4",
        "beta=range, which model=multirate selects, has no option 'weight'",
        "leave beta.weight out; it has beta.high, beta.low, beta.margin",
        instead="",
    ),
    row("model=multirate prior=vamp", "one set of weights for every beta", instead="prior=normal"),
    row("model=multirate posterior=chain", "layers that no gate reaches", instead="posterior=gaussian"),
    row("model=multirate loss=tc", "takes no beta per image", instead="loss=elbo"),
    row("model=multirate loss=capacity", "takes no beta per image", instead="loss=elbo"),
    row("model=multirate loss=reconstruction", "takes no beta per image", instead="loss=elbo"),
    row("model=multirate beta.low=2", "must enclose 1", "got 2 and 4"),
    row("model=multirate model.rank=-1", "model.rank must be a whole number of at least 0", "got -1"),
    row("model=multirate beta.margin=0.5", "beta.margin must be at least 1", "0.5"),
    row("model=multirate evaluation.betas=3", "evaluation.betas must be a list of numbers", "got 3"),
    row("model=multirate evaluation.betas=[0.5,9]", "each of evaluation.betas must be from 0.25 to 4", "got 9"),
    row("lr=1e-3", "lr=1e-3", "constant, cosine", instead="optimizer.lr=0.001"),
    row("network=null", "network=null", instead="network=mlp"),
    row("data=3", "data=3", instead="data=mnist"),
    row("likelihood=[gaussian]", "likelihood=[gaussian]", instead="likelihood=bernoulli"),
    row("trainer={max_epochs:3}", "trainer={max_epochs:3}", instead="trainer=default"),
    row("+beta=linear", "+beta", "without +"),
    row("+latent=3", "+latent=3", instead="latent=3"),
    row("~beta", "~beta removes beta", instead=""),
    row("~model", "~model removes model", instead=""),
    row("~latent", "~latent removes latent", instead=""),
    row("~trainer.precision", "~trainer.precision removes trainer.precision", instead=""),
    row("~evaluation", "~evaluation removes evaluation", instead=""),
    row("~foo", "~foo", instead=""),
    row("~network.hidden", "lacks the option 'hidden'", "~network.hidden", instead=""),
    row("evaluation=null", "evaluation=null", "section", instead=""),
    row("pictures=3", "pictures=3", "section", instead=""),
]

# Accepted by Hydra, and read by nothing.
UNREAD = [
    row("+foo=1", "+foo=1", "nothing reads 'foo'", instead=""),
    row("+evaluation.foo=1", "nothing reads evaluation.foo", instead=""),
    row("+pictures.foo=1", "nothing reads pictures.foo", instead=""),
    row(f"{MIXTURE} posterior=gaussian", "nothing reads 'posterior' in this model", instead=""),
    row("trainer.max_epochs=7", "trainer.max_epochs=7 contradicts epochs=2", instead="epochs=7"),
    row("+trainer.logger=true", "trainer.logger is not for a run", instead=""),
    row("+trainer.callbacks=[]", "trainer.callbacks is not for a run", instead=""),
    row("+trainer.default_root_dir=x", "trainer.default_root_dir is not for a run", "hydra.run.dir", instead=""),
    row("+trainer.fast_dev_run=true", "fast_dev_run", instead="trainer=debug"),
    row("+trainer.num_nodes=2", "trainer.num_nodes", instead=""),
]

GRAMMAR = [
    row("latent", "cannot read 'latent'", "latent=value"),
    row("'latent=[2'", "cannot read 'latent=[2'", "every bracket"),
    row("latent=${seed", "cannot read 'latent=${seed'", "every bracket"),
    row("latent=${foo}", "latent=${foo}", "no option 'foo'"),
    row("latent=${latent}", "latent=${latent}", "refers to itself"),
    row("latent=2,5", "latent=2,5", "python train.py -m", instead="latent=[2,5]"),
    row("'latent=range(1,3)'", "latent=range(1,3)", "python train.py -m"),
    row("name=größe_zahl", "name=größe_zahl", instead="\"name='größe_zahl'\""),
    row("name=a=b", "name=a=b", instead="\"name='a=b'\""),
    row("name=a/b", "name must be the plain name of a folder", "'a/b'", instead="name=two"),
    row("name=''", "name must be the plain name of a folder", "''", instead="name=two"),
    row("name=..", "name must be the plain name of a folder", "'..'", instead="name=two"),
    row("name=null", "name must be the plain name of a folder", "null", instead="name=two"),
    row("name=[a,b]", "name must be the plain name of a folder", "[a,b]", instead="name=two"),
    row("name={a:1}", "name must be the plain name of a folder", "{a:1}", instead="name=two"),
    row("name=true", "name must be the plain name of a folder", "True", instead="name=two"),
    row("--latent=3", "no flag --latent=3", instead="latent=3"),
    row("--latent 3", "no flag --latent", "no dashes: latent=3"),
    row("--latent", "no flag --latent", "--help"),
    row("-x", "no flag -x", "--help"),
    row("data=mnist data.size=32", "data=celeba, folder, shapes", "take data=folder data.size=32"),
    row("--cfg=foo", "--cfg", "foo", "--help"),
    row("--config-dir=/nonexistent", "--config-dir=/nonexistent", "no such folder", instead=""),
    row("--config-name=foo", "--config-name=foo", instead=""),
    row("hydra.run.dir=null", "hydra.run.dir=null", instead=""),
]

NUMBERS = [
    row("latent=0", f"latent {AT_LEAST_1}", "0"),
    row("latent=-3", f"latent {AT_LEAST_1}", "-3"),
    row("latent=abc", f"latent {AT_LEAST_1}", "'abc'"),
    row("latent=2.5", f"latent {AT_LEAST_1}", "2.5"),
    row("latent=null", f"latent {AT_LEAST_1}", "null"),
    row("latent=true", f"latent {AT_LEAST_1}", "true"),
    row("latent=", f"latent {AT_LEAST_1}", "''"),
    row("latent=99999999999999", "latent must be a whole number of at most", "99999999999999"),
    row("latent=4000000000", "memory", instead="latent=20"),
    row("epochs=0", f"epochs {AT_LEAST_1}", "0"),
    row("seed=-1", "seed must be a whole number of at least 0", "-1"),
    row("seed=99999999999999999999", "seed must be a whole number of at most 4294967295", "99999999999999999999"),
    row("beta.weight=-1", "beta.weight must be a finite number of at least 0", "-1"),
    row("beta.weight=nan", "beta.weight must be a finite number of at least 0", "nan"),
    row("beta.weight=high", "beta.weight must be a finite number of at least 0", "'high'"),
    row("beta=linear beta.warmup=-0.5", "beta.warmup must be a finite number of at least 0", "-0.5"),
    row("beta=cyclical beta.warmup=0.5", "beta.warmup=0.5 does not fit 4 times", "0.25"),
    row("optimizer.lr=0", "optimizer.lr must be a finite number above 0", "0"),
    row("optimizer.lr=-1", "optimizer.lr must be a finite number above 0", "-1"),
    row("optimizer.lr=fast", "optimizer.lr must be a finite number above 0", "'fast'"),
    row("optimizer=muon optimizer.adam_lr=0", "optimizer.adam_lr must be a finite number above 0", "0"),
    row("optimizer.betas=[2,2]", "optimizer does not take", "betas=[2, 2]"),
    row("network.hidden=400", "network.hidden must be a list of widths", "400"),
    row("network.hidden=[400,0]", "network.hidden", "at least 1", "0"),
    row("network.activation=rleu", "network.activation must be one of", "relu", "'rleu'"),
    row("network.image=3", "network.image must be", "[1,28,28]", "3"),
    row("network=conv network.channels=[8,8,8,8,8,8]", "network.channels=[8, 8, 8, 8, 8, 8]", "28 x 28", "take 5"),
    row("network=resnet network.channels=[12]", "multiples of 8", "12"),
    row("network.image=[1,14,14]", "network.image=[1, 14, 14]", "mnist5k", "network.image=[1, 28, 28]"),
    row("model=cvae model.image=[1,14,14]", "model.image=[1, 14, 14]", "model.image=[1, 28, 28]"),
    row("prior=vamp prior.components=4 prior.image=[1,14,14]", "prior.image=[1, 14, 14]", "[1, 28, 28]"),
    row("likelihood=gaussian likelihood.sigma=0", "likelihood.sigma must be a finite number above 0", "0"),
    row("likelihood=gaussian likelihood.learnt=perhaps", "likelihood.learnt must be true or false", "'perhaps'"),
    row("likelihood=gaussian likelihood.learnt=pixel", "likelihood.learnt must be true or false, or per_pixel"),
    row("loss=iwae loss.samples=0", f"loss.samples {AT_LEAST_1}", "0"),
    row("loss=capacity loss.warmup=2", "loss.warmup is a share of the training, from 0 to 1", "2"),
    row("evaluation.nll_samples=-1", "evaluation.nll_samples must be a whole number of at least 0", "-1"),
    row("evaluation.checkpoint=bset", "evaluation.checkpoint must be one of best, last", "'bset'"),
    row("evaluation.parts=latents", "evaluation.parts must be a list", "[latents, aggregate]", "'latents'"),
    row("evaluation.parts=[latent]", "evaluation.parts must be one of likelihood, latents", "'latent'"),
    row("evaluation.aggregate_images=1", "evaluation.aggregate_images", "at least 2", "1"),
    row("evaluation.active_variance=-1", "evaluation.active_variance", "at least 0", "-1"),
    row("evaluation.chunk=0", f"evaluation.chunk {AT_LEAST_1}", "0"),
    row("evaluation.ema=1", "evaluation.ema must be below 1", "0.999"),
    row("evaluation.ema=-0.1", "evaluation.ema must be a finite number of at least 0", "-0.1"),
    row("pictures.projection=pcb", "pictures.projection must be one of pca, tsne, umap", "'pcb'"),
    row("pictures.projector=perhaps", "pictures.projector must be true or false", "'perhaps'"),
    row("pictures.every=0", f"pictures.every {AT_LEAST_1}", "0"),
]

EXTENSIONS = [
    row("logger=wand", "logger=wand", "csv, mlflow, tensorboard, wandb", "mean logger=wandb?", instead="logger=wandb"),
    row("logger=null", "logger=null", instead="logger=[]"),
    row("~logger", "~logger", instead="logger=[]"),
    row("logger=3", "logger=3", "csv, mlflow, tensorboard, wandb"),
    row("logger=tensorboard,csv", "sweep of several values", instead="logger=[tensorboard,csv]"),
    row("callbacks=early", "callbacks=early", "early_stopping", instead="callbacks=early_stopping"),
    row("callbacks=[lr_monitor,timr]", "callbacks=timr", "did you mean callbacks=timer?"),
    row(
        "callbacks.early_stopping.patience=3",
        "no option 'early_stopping.patience'",
        instead="callbacks=early_stopping callbacks.early_stopping.patience=3",
    ),
    row(
        "callbacks=early_stopping +callbacks.early_stopping.paitence=3",
        "no option 'early_stopping.paitence'",
        instead="",
    ),
    row(
        "callbacks=early_stopping callbacks.early_stopping.patience=0", "patience must be a finite number above 0", "0"
    ),
    row("callbacks=early_stopping callbacks.early_stopping.min_delta=-1", "min_delta must be", "at least 0", "-1"),
    row("data.val=0 callbacks=early_stopping", "data.val=0 leaves no validation images", instead=""),
    row("loss=capacity callbacks=early_stopping", "needs a validation metric", instead=""),
    row("callbacks=step_checkpoints callbacks.step_checkpoints.every_n_steps=0", f"every_n_steps {AT_LEAST_1}", "0"),
    row("callbacks=timer callbacks.timer.duration=soon", "callbacks.timer does not take these options", "'soon'"),
    row(
        "callbacks=lr_monitor callbacks.lr_monitor.logging_interval=year", "callbacks.lr_monitor does not take", "step"
    ),
    row("trainer.max_time=00:01:00:00 callbacks=timer", "two limits of time", instead=""),
    row("+callbacks.mine=3", "callbacks.mine must be a section with the option _target_", "3", instead=""),
    row(
        "+callbacks.early._target_=lightning.pytorch.callbacks.EarlyStopping",
        "lacks the option 'monitor'",
        "++callbacks.early.monitor=...",
    ),
    row("+callbacks.mine._target_=lightning.pytorch.callbacks.Nothing", "no such class or function"),
    row("+callbacks.mine._target_=torch.nn.Identity", "must make a", "Callback", "Identity"),
    row("+logger.mine._target_=nowhere.Logger", "there is no module 'nowhere'"),
    row("+logger.mine._target_=torch.nn.Identity", "must make a", "Logger", "Identity"),
    row("+logger.mine.save_dir=x", "logger.mine must be a section with the option _target_", instead=""),
    row("logger=csv pictures.projector=true", "pictures.projector=true is TensorBoard's", instead=""),
]

TRAINER = [
    row("trainer.precision=8", "trainer.precision must be one of auto", "8"),
    row("trainer.log_every_n_steps=0", f"trainer.log_every_n_steps {AT_LEAST_1}", "0"),
    row("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch", "0"),
    row("trainer.devices=0", f"trainer.devices {AT_LEAST_1}", "0"),
    row("trainer.accelerator=cuda", "trainer.accelerator must be one of auto, cpu", "'cuda'"),
    row("trainer.strategy=dpd", "trainer.strategy must be auto, or ddp", "'dpd'"),
    row("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val must be a finite number of at least 0", "-1"),
    row("trainer.benchmark=perhaps", "trainer.benchmark must be true or false", "'perhaps'"),
    row("+trainer.profiler=smiple", "trainer.profiler must be one of simple, advanced, pytorch", "'smiple'"),
    row("trainer.max_time=soon", "trainer.max_time must be days:hours:minutes:seconds", "'soon'"),
    row("trainer.max_steps=0", f"trainer.max_steps {AT_LEAST_1}", "0"),
    row("+trainer.min_epochs=5", "trainer.min_epochs=5 is more than epochs=2", instead="epochs=5"),
    row("+trainer.accumulate_grad_batches=0", f"trainer.accumulate_grad_batches {AT_LEAST_1}", "0"),
    row("+trainer.limit_train_batches=0", "trainer.limit_train_batches=0 leaves no batch of 8", instead=""),
    row("+trainer.limit_train_batches=0.01", "trainer.limit_train_batches=0.01 leaves no batch of 8", instead=""),
    row("+trainer.limit_train_batches=1.5", "a share up to 1.0", "1.5"),
    row("+trainer.limit_test_batches=0", "trainer.limit_test_batches=0 leaves no batch", instead=""),
    row("+trainer.overfit_batches=0.5", "trainer.overfit_batches=0.5 leaves no batch of 1", instead=""),
    row("trainer.val_check_interval=9", "trainer.val_check_interval=9", "8 batches", "smaller"),
    row("trainer.val_check_interval=0", "trainer.val_check_interval must be a finite number above 0", "0"),
    row(
        "trainer.check_val_every_n_epoch=null",
        "trainer.check_val_every_n_epoch=null needs a number of batches",
        "trainer.val_check_interval=100",
    ),
    row(
        "trainer.check_val_every_n_epoch=null trainer.val_check_interval=0.5",
        f"without trainer.check_val_every_n_epoch, {AT_LEAST_1}",
        "0.5",
    ),
    row("accelerator=ddp_cpu data.batch_size=63", "data.batch_size=63", "2 processes"),
    row("accelerator=ddp_cpu data.eval_batch_size=1", "2 processes share a batch of 1"),
]

DATA = [
    row("data.binarize=yes", "data.binarize must be one of none, threshold, static, dynamic", "'yes'"),
    row("data.binarize=sttic", "data.binarize must be one of none, threshold, static, dynamic", "'sttic'"),
    row("data.batch_size=0", f"data.batch_size {AT_LEAST_1}", "0"),
    row("data.batch_size=1e3", f"data.batch_size {AT_LEAST_1}", "1000.0"),
    row("data.batch_size=600", "data.batch_size=600 is larger than the 512 training images", "smaller"),
    row("data.train=abc", f"data.train {AT_LEAST_1}", "'abc'"),
    row("data.val=4000", "data.val=4000", "smaller"),
    row("data=mnist data.root=3", "data.root must be the path of a folder", "3"),
    row("data=emnist data.split=capitals", "data.split must be one of byclass", "'capitals'"),
    row("model=cvae model.classes=4", "model.classes=4 does not fit mnist5k", instead="model.classes=10"),
    row("ckpt=nowhere/last.ckpt", "ckpt=nowhere/last.ckpt: no such file", "<run>/checkpoints"),
    row("ckpt=.", "ckpt=. is a folder", "<run>/checkpoints"),
    row("ckpt=3", "ckpt=3: no such file", "<run>/checkpoints"),
]

# Pieces that do not fit each other.
COMBINATIONS = [
    row("posterior=dirac", "needs a posterior with a density", instead="posterior=gaussian"),
    row("loss=iwae posterior=dirac", "needs a posterior with a density", instead="posterior=gaussian"),
    row("posterior=flow loss=tc", "FlowPosterior has none", instead="loss=elbo"),
    row("prior=vamp loss=reconstruction", "VampPrior is learnt", instead="loss=elbo"),
    row("loss.free_bits=0.5 prior=mixture", "loss.free_bits=0.5", instead="prior=normal"),
    row("posterior=none", "posterior=none", instead="posterior=gaussian"),
    row("prior=categorical", "prior=categorical", "model=mixture", instead="prior=normal"),
    row("posterior=chain latent=1", "at least 2 latents", "latent=1"),
    row("model=hvae bottom=40", "bottom=40", "latent=4"),
    row("model=hvae latent=2 bottom=2", "bottom=2", "latent=2"),
    row("model=noisy_ae latent=1", "take latent=2 or more", instead="latent=2"),
    row("model=pca", "PCA is linear", instead="model=pca network.hidden=[]"),
    row(f"{PCA} latent=784", "latent must be below 784", "784"),
    row(f"{PCA} latent=511", "more than 512 training images", "512"),
    row(f"{PCA} posterior=noisy", "NoisyPosterior", instead="posterior=gaussian"),
    row(f"{PCA} prior=vamp", "VampPrior", instead="prior=normal"),
    row(f"{PCA} likelihood=laplace", "LaplaceLikelihood", instead="likelihood=gaussian"),
    row(f"{PCA} likelihood.mean=sigmoid", "likelihood=gaussian without options of likelihood"),
    row(f"{MIXTURE} likelihood=laplace", "LaplaceLikelihood", instead="likelihood=bernoulli"),
    row("model=mixture network=mlp", "network=linear", instead="network=linear"),
    row(f"{MIXTURE} prior=normal", "prior=categorical", instead="prior=categorical"),
    row(f"{MIXTURE} latent=600", "600 components", "components=512"),
    row(f"{MIXTURE} loss=tc", "posterior=gaussian or loss=elbo", instead="loss=elbo"),
]

OWN_PIECES = [
    row(
        "posterior._target_=mine.NoDistribution",
        "mine.NoDistribution.forward must return q(z|x) as a torch.distributions.Distribution, got Tensor",
    ),
    row(
        "posterior._target_=mine.OneImage",
        "mine.OneImage.forward must return q(z|x) with the batch shape (2,), got (1,)",
    ),
    row(
        "posterior._target_=mine.NoGradient",
        "mine.NoGradient.forward must return a distribution with rsample, through which gradients flow, "
        "got Independent",
    ),
    row(
        "loss._target_=mine.MeanLoss",
        "mine.MeanLoss.__call__ must return a tensor of the shape (2,), a loss for each image, got ()",
    ),
    row(
        "loss._target_=mine.function",
        "loss._target_=mine.function must make a vaelab.models.contracts.Objective, got builtin_function_or_method",
    ),
    row("loss._target_=mine.Nothing", "loss._target_=mine.Nothing: there is no such class or function"),
    row("loss._target_=nowhere.Loss", "loss._target_=nowhere.Loss: there is no module 'nowhere'"),
    row("prior._target_=mine.Plain", "mine.Plain must derive from vaelab.models.contracts.Prior"),
    row("network._target_=mine.Net", "mine.Net must derive from vaelab.models.contracts.Network"),
    row("prior._target_=mine.Late", "mine.Late", "must call super().__init__()"),
    row("prior._target_=mine.Never", "Never.__init__ must call super().__init__()"),
    row("prior._target_=mine.NoForward", "mine.NoForward lacks forward", "define it"),
    row(
        "prior._target_=mine.NoOption",
        "mine.NoOption does not take",
        instead="prior._target_=mine.NoOption ~prior.latent",
    ),
    row("posterior._target_=mine.Nan", "mine.Nan.forward: log_prob of q(z|x) is not finite before the training"),
    row("posterior._target_=mine.NanScale", "mine.NanScale.forward: q(z|x) cannot be computed", "invalid values"),
    row(
        "posterior._target_=mine.Detached",
        "mine.Detached.forward: no parameter of the posterior gets a gradient from the loss",
    ),
    row("prior._target_=mine.Behind", "mine.Behind.loc is a tensor", "self.register_buffer('loc', ...)"),
    row("prior._target_=mine.Kept", "mine.Kept.p is a distribution", "self.register_buffer(...)"),
    row(
        "likelihood._target_=mine.NoDensities",
        "mine.NoDensities.forward must return p(x|z) with log_prob, which NoDensity lacks",
    ),
    row("likelihood._target_=mine.NoMeans", "mine.NoMeans.forward must return p(x|z) with mean, which NoMean lacks"),
    row(
        "likelihood._target_=mine.PerPixel",
        "mine.PerPixel.forward must return p(x|z) with the batch shape (2, 2), got (2, 2, 1, 28, 28): wrap it in "
        "torch.distributions.Independent(..., 3)",
    ),
    row("likelihood._target_=mine.Grey", "mine.Grey.forward: log_prob of p(x|z) cannot be computed", "support"),
    row("loss._target_=mine.InfiniteLoss", "mine.InfiniteLoss.__call__ must return a finite loss"),
    row("loss._target_=mine.NoLoss", "mine.NoLoss.__call__ must return a loss that depends on the parameters"),
    row(
        "network._target_=mine.Wide",
        "mine.Wide.encoder(3) must map the shape (2, 1, 28, 28) to (2, 3), got (2, 6)",
    ),
    row(
        "network._target_=mine.Flat",
        "mine.Flat.decoder(5, 2) must map the shape (4, 2, 5) to (4, 2, 2, 28, 28), got (4, 2, 1568)",
    ),
    row("network._target_=mine.NoModule", "mine.NoModule.encoder(3) must return a torch.nn.Module, got function"),
    row("beta._target_=mine.Unsteady", "beta: mine.Unsteady.__call__(step=50, steps=100) must return a finite number"),
    row("beta._target_=mine.Tensors", "must return a finite number, got Tensor"),
    row("+metric._target_=mine.NotMeasured", "metric: NotMeasured.metric must be a vaelab.evaluation.metrics.Metric"),
    row("+metric._target_=mine.Nll", "metric: Nll: metric 'nll' has the name of a metric that vaelab ships"),
    row("+metric._target_=mine.Better", "better must be 'higher', 'lower' or '', got 'more'"),
    row("+metric._target_=mine.Samples", "metric._target_=mine.Samples must make a vaelab.evaluation.own.Measure"),
    row("+plot._target_=mine.Samples", "plot: samples.png is a plot that vaelab ships: give Samples another name"),
    row("+metric.x=1", "metric.x lacks _target_, the class that it is made of"),
    row("metric=spread", "metric=spread: vaelab ships no member of the group 'metric'", "--config-dir FOLDER"),
    row("plot=spread", "plot=spread: vaelab ships no member of the group 'plot'", "--config-dir FOLDER"),
    row("loss._target_=mine.MeanLos", "there is no such class or function; did you mean MeanLoss?"),
    row("prior._target_=pieces_nowhere.X", "there is no module 'pieces_nowhere'", "--config-dir FOLDER"),
    row("prior._target_=mine.Student", "mine.Student sets is_product", "leave is_product at False"),
]

SWEEPS = [
    row("-m beta=constant,linear beta.warmup=0.1", "beta=constant has no option 'warmup'", "two commands"),
    row("-m model=vae,mixture components=3", "model=vae has no option 'components'", "two commands"),
    row("-m latent=2,3 latnt=3", "no option 'latnt'", instead="latent=3"),
    row("-m latent=2,3 beta=2", "beta=2", instead="beta.weight=2"),
    row("-m latent=2,3 ~beta", "~beta removes beta", instead=""),
    row("-m latent=2 name=a,b", "name=... names the sweep"),
    row("-m latent=2 name=null", "name must be the plain name of a folder", "null", instead="name=two"),
    row("-m latent=2,3 --latent=3", "no flag --latent=3", instead="latent=3"),
    row("-m model=vae,vea", "model=vea", "noisy_ae, pca, vae", instead="model=vae"),
]

PUBLISHED = [
    row("beta=linear beta.warmup=soon", "beta.warmup must be a number", '"10 epochs"', "'soon'"),
    row("network.init=xavier", "network.init must be one of torch, he, glorot", "'xavier'"),
    row("posterior.clamp=[2,-6]", "posterior.clamp must be two numbers [low,high]", "[2, -6]"),
    row("loss.kl=exact", "loss.kl must be one of closed, sampled", "'exact'"),
    row("likelihood.output_bias=median", "likelihood.output_bias must be one of network, mean", "'median'"),
    row(f"{PCA} likelihood.output_bias=mean", "ProbabilisticPCA", "output_bias=mean out"),
    row("model=mixture network.hidden=[] likelihood.output_bias=mean", "MixtureModel", "output_bias=mean out"),
    row("model=hvae bottom=3 prior@prior.top=vamp", "needs the density q(z2|x)", "posterior.first=top"),
    row("prior=chain prior@prior.top=vamp", "VampPrior has 1 latents", "posterior=chain"),
    row("prior=chain prior.clamp=2", "prior.clamp must be two numbers [low,high]", "2"),
    row("prior=chain prior.init=xavier", "prior.init must be one of torch, he, glorot", "'xavier'"),
    row("posterior=chain posterior.gated=1", "posterior.gated must be true or false", "1"),
    row("posterior=chain posterior.hidden=5", "posterior.hidden must be a list of widths", "5"),
    row("posterior=chain posterior.first=middle", "posterior.first must be one of bottom, top", "'middle'"),
    row("prior=vamp prior.start=zeros", "prior.start must be one of images, random", "'zeros'"),
]

IMAGES = [
    row("data.shape=[1,14,14]", "mnist5k", "take data.shape=[1,28,28]", instead="data.shape=[1,28,28]"),
    row("data.shape=28", "data.shape must be three whole numbers [C,H,W]", "28"),
    row("data.shape=[1,0,28]", "data.shape must be three whole numbers", "[1, 0, 28]"),
    row("data.shape=null", "data.shape is missing", "data.shape=[3,64,64]"),
    row("data.classes=[3,17]", "data.classes=[3, 17]", "no training image of the class 17", "0 to 9"),
    row("data.classes=3", "data.classes must be a list of labels such as [3,8]", "3"),
    row("data=folder", "data.size is missing", "data.size=64"),
    row("data=folder data.size=8", "data.root is missing", "data.root=photos"),
    row("data=folder data.size=8 data.root=nowhere", "data.root=nowhere is no folder"),
    row("data=folder data.root=/ data.size=big", "data.size must be a whole number", "'big'"),
    row("data=folder data.root=/ data.size=8 data.channels=4", "data.channels must be 1 (grey) or 3", "4"),
    row("data=arrays", "data.root is missing", "data.root=images.npz"),
    row("data=arrays data.root=nowhere.npz", "data.root=nowhere.npz is no file", "data=folder"),
    row("data=kmnist data.fallback=true", "no fallback for KMNIST", instead="data.fallback=false"),
]

ROWS = [
    *TYPOS, *OTHER_MEMBERS, *MEMBERS, *UNREAD, *GRAMMAR, *NUMBERS, *TRAINER, *DATA, *COMBINATIONS, *OWN_PIECES, *SWEEPS,
    *PUBLISHED, *IMAGES, *EXTENSIONS,
]  # fmt: skip
