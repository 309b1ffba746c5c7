"""What each rank of a process group does in test_distributed.py: it returns findings, or raises, and asserts nothing."""

import multiprocessing
import os
import signal
import tempfile
import time
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import sculptlab as sl
from sculptlab.training import objectives as o
from sculptlab.training.distributed import Ranks
from sculptlab.training.initialization import Initialization
from sculptlab.training.state import Training

DIM, BATCH = 3, 32
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["torch._dynamo", "rank_checks"])  # so that torch is imported once


def images():
    return torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def model(stochastic=False, seed=0):
    return sl.build_autoencoder("mlp", image_shape=(1, 4, 4), dim=DIM, width=16, stochastic=stochastic, seed=seed)


def every_objective():
    """An objective of each kind, by name."""
    prior, x = sl.priors.Uniform(DIM), images()
    source = torch.randn(100, DIM, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(20) % 3
    given = sl.priors.Conditional({i: sl.priors.Gaussian(DIM).shifted(float(i)) for i in range(3)})
    return {
        "reconstruction": o.Reconstruction(likelihood="bernoulli"),
        "mmd": o.MMD(prior),
        "mmd marginal": o.MMD(prior, views="marginal"),
        "mmd pairs": o.MMD(prior, views="pairs", subset=2),
        "energy": o.EnergyDistance("gaussian"),
        "sliced mmd": o.SlicedMMD(prior, kernel=sl.kernels.IMQ()),
        "sliced mmd of a Gaussian": o.SlicedMMD("gaussian"),
        "sliced Wasserstein": o.SlicedWasserstein(prior),
        "sigreg": o.SIGReg(),
        "sigreg, 17 knots": o.SIGReg(knots=17),
        "copying": o.Copying(source),
        "penalty": o.MMD("gaussian") + o.Predictability(),
        "isometry": o.Isometry(),
        "anchors": o.Anchors(x[:4], torch.zeros(4, DIM)),
        "labeled": o.LabeledMMD(given, x[:20], labels),
        "kl": o.KL(),
        "info vae": o.InfoVAE(),
        "beta tc": o.BetaTC(),
        "factor vae": o.FactorVAE(width=16, depth=2),
        "dip": o.DIP(kind="II"),
    }


def stepped(objective, steps=2):
    """The terms, and the changes of all weights, in a few steps of plain gradient descent in double precision."""
    net = model(objective.needs_posterior).double()
    training = Training(net, images(), objective, batch_size=BATCH, device="cpu", optimizer=torch.optim.SGD, learning_rate=0.01)
    weights = [*net.parameters(), *training.regularizer.parameters()]
    before = torch.cat([weight.detach().flatten() for weight in weights])
    training.start()
    records = [training.advance() for _ in range(steps)]
    training.end()
    changes = torch.cat([weight.detach().flatten() for weight in weights]) - before
    return [{name: value.item() for name, value in record.terms.items()} for record in records], changes.numpy()


def _rank(check, rank, size, meeting, pipe, timeout, arguments):
    torch.set_num_threads(1)
    try:
        distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
        )
        pipe.send(("ok", check(rank, *arguments)))
    except BaseException as error:
        pipe.send((type(error).__name__, str(error)))


def in_ranks(check, size, *arguments, timeout=120.0):
    """What check(rank, *arguments) returns in each rank of a new process group: ("ok", value), (error, message) or None."""
    with tempfile.TemporaryDirectory() as folder:
        pipes, started = [], []
        for rank in range(size):
            ours, theirs = START.Pipe(duplex=False)
            one = START.Process(target=_rank, args=(check, rank, size, f"{folder}/meeting", theirs, timeout, arguments))
            one.start()
            theirs.close()
            pipes.append(ours)
            started.append(one)
        found = []
        for pipe in pipes:
            try:
                found.append(pipe.recv() if pipe.poll(240) else None)
            except EOFError:
                found.append(None)
        for one in started:
            one.join(10)
            one.kill()
    return found


def all_objectives(rank):
    return {name: stepped(objective) for name, objective in every_objective().items()}


def naive_gradient(rank):
    """The gradient in a shift of the codes, averaged over ranks, if each rank takes the MMD of its own rows."""
    ranks = Ranks.present()
    z, target = shifted_codes()
    rows = ranks.own(len(z))
    shift = torch.zeros(DIM, dtype=torch.float64, requires_grad=True)
    sl.mmd2((z + shift)[rows], target[rows]).backward()
    distributed.all_reduce(shift.grad)
    return (shift.grad / ranks.size).numpy()


def shifted_codes():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(64, DIM, generator=generator, dtype=torch.float64) * scale for scale in (0.3, 1.0))


def own_loop(steps=3, ranks=None):
    """The weights after a loop of one's own: DistributedDataParallel around the model, a regularizer beside it."""
    net = Pair().double()
    whole = nn.parallel.DistributedDataParallel(net) if ranks else net
    term = (o.KL(0.5) + o.MMD("gaussian") + o.Predictability()).regularizer(DIM)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    x = images()[:BATCH].flatten(1).double()
    x = x[ranks.own(BATCH)] if ranks else x
    for _ in range(steps):
        made, mean, log_variance = whole(x)
        loss = 0.5 * (made - x).square().sum(1).mean() + term(mean, (mean, log_variance))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        term.update(mean)
    return torch.cat([weight.detach().flatten() for weight in (*net.parameters(), *term.parameters())]).numpy()


class Pair(nn.Module):
    """A linear encoder and decoder that draw nothing."""

    def __init__(self):
        super().__init__()
        with Initialization(0):
            self.encoder, self.decoder = nn.Linear(16, 2 * DIM), nn.Linear(DIM, 16)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return self.decoder(mean), mean, log_variance


def fitted(rank=0, path=None, steps=30, data=None, **options):
    """The history and the weights of `fit`, of a data set that is read when needed, and which rows were read."""
    rows = Rows()
    net = model(stochastic=True)
    goal = o.KL(0.1) + o.MMD("gaussian") + o.Predictability()
    given = {"batch_size": 16, "steps": steps, "log_every": 5, "scheduler": "constant", "progress": False, "device": "cpu"}
    run = sl.fit(net, rows if data is None else data, goal, checkpoint=path, **given | options)
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in run.rows]
    return history, {name: value.numpy() for name, value in run.export().items()}, sorted(rows.read)


class Rows(torch.utils.data.Dataset):
    """The images, and which of them were read after the first 8 reads of all that a training knows."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 64

    def __getitem__(self, row):
        self.read.append(row)
        return images()[row]


def several_fits(rank, folder):
    """Everything about `fit` that takes a whole group: what it answers, by name."""
    found = {"naive": naive_gradient(rank), "own loop": own_loop(ranks=Ranks.present())}
    found["fit"] = fitted(path=f"{folder}/checkpoint")
    distributed.barrier()
    found["resumed"] = fitted(path=f"{folder}/of_one", steps=30)
    found["stopped"] = fitted(callbacks=lambda record: rank == 0 and record.step == 7)[0][-1]["step"]
    loaders = [DataLoader(TensorDataset(images()), 8, sampler=DistributedSampler(images()) if one else None) for one in (1, 0)]
    found["loader"] = len(fitted(data=loaders[0], batch_size=None)[0])
    found["errors"] = {
        "not sharded": error_of(fitted, data=loaders[1], batch_size=None),
        "batch size": error_of(fitted, batch_size=15),
        "function": error_of(sl.fit, model(), images(), lambda *_: 0),
        "batch norm": error_of(sl.fit, nn.Sequential(nn.BatchNorm2d(1)), images(), o.Reconstruction()),
        "seed": error_of(fitted, seed=rank),
        "steps": error_of(fitted, steps=5 + rank),
        "data": error_of(fitted, data=images() * (1 - 0.01 * rank)),
        "rows": error_of(o.MMD("gaussian").regularizer(DIM), torch.zeros(4 + rank, DIM)),
    }
    return found


def error_of(function, *given, **options):
    try:
        function(*given, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def one_is_killed(rank, folder):
    """Rank 1 dies at step 8; the others' error, and the step of the checkpoint that they leave."""

    def die(record):
        if rank == 1 and record.step == 8:
            os.kill(os.getpid(), signal.SIGKILL)

    return error_of(fitted, path=f"{folder}/killed", callbacks=die)


def one_stalls(rank):
    """Rank 1 does not come for longer than the timeout."""
    return error_of(fitted, callbacks=lambda record: time.sleep(4) if rank == 1 and record.step == 3 else None)
