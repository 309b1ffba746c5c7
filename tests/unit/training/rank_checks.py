"""What each rank of a process group does in test_distributed.py: it returns findings, or raises, and asserts nothing."""

import multiprocessing
import tempfile
from datetime import timedelta

import torch
from torch import distributed

import sculptlab as sl
from sculptlab.training import objectives as o
from sculptlab.training.state import Training

DIM, BATCH = 3, 32
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["torch", "sculptlab", "sculptlab.training"])  # so that torch is imported once


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


def in_ranks(check, size, *arguments, timeout=30.0):
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
                found.append(pipe.recv() if pipe.poll(120) else None)
            except EOFError:
                found.append(None)
        for one in started:
            one.join(10)
            one.kill()
    return found


def all_objectives(rank):
    return {name: stepped(objective) for name, objective in every_objective().items()}
