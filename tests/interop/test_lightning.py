"""A term inside a LightningModule: trained by its hooks, saved in its checkpoints, and resumed with the same bits."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

import sculptlab as sl

IMAGES = torch.rand(64, 16, generator=torch.Generator().manual_seed(0))


class VAE(lightning.LightningModule):
    """A VAE of one's own."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder, self.decoder = torch.nn.Linear(16, 4), torch.nn.Linear(2, 16)
        parts = sl.objectives.KL(0.01), sl.objectives.MMD("gaussian", weight=10.0), sl.objectives.Predictability(width=8)
        self.term = sum(parts).regularizer(dim=2)
        self.noise = torch.Generator()
        self.losses = []

    def training_step(self, batch, index):
        mean, log_variance = self.encoder(batch).chunk(2, dim=1)
        self.noise.manual_seed(self.global_step)
        codes = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=self.noise)
        loss = 0.5 * (self.decoder(codes) - batch).square().sum(1).mean() + self.term(codes, (mean, log_variance))
        self.losses.append(loss.item())
        return {"loss": loss, "codes": codes.detach()}

    def on_train_batch_end(self, outputs, batch, index):
        self.term.update(outputs["codes"])

    def validation_step(self, batch, index):
        mean, log_variance = self.encoder(batch).chunk(2, dim=1)
        self.log("value", self.term(mean, (mean, log_variance)))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def trained(epochs, folder, resume=None, **options):
    model, loader = VAE(), DataLoader(IMAGES, batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, num_sanity_val_steps=0, **options,
    )  # fmt: skip
    with torch.random.fork_rng():
        trainer.fit(model, loader, loader, ckpt_path=resume)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return model


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_training_has_the_bits_of_a_whole_one(tmp_path):
    whole = trained(6, tmp_path)
    before = VAE().term.state_dict()["companions.2:predictors.into.weight"]
    assert sum(whole.losses[-4:]) < sum(whole.losses[:4])
    assert whole.term.step == 24
    assert not torch.equal(whole.term.companions["2:predictors"].into.weight, before)
    trained(3, tmp_path)
    resumed = trained(6, tmp_path, resume=tmp_path / "3.ckpt")
    assert resumed.losses == whole.losses[12:]
    expected, found = whole.state_dict(), resumed.state_dict()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] in ([], ["term._extra_state"])
    assert resumed.term.step == whole.term.step
    assert torch.equal(resumed.term.generator.get_state(), whole.term.generator.get_state())


@pytest.mark.filterwarnings("ignore")
def test_bfloat16_and_clipped_gradients(tmp_path):
    model = trained(3, tmp_path, precision="bf16-mixed", gradient_clip_val=1.0, accumulate_grad_batches=2)
    assert sum(model.losses[-4:]) < sum(model.losses[:4])
    assert model.term.step == 12
