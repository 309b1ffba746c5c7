"""`sl.latents` and `sl.Explorer` with the models of other libraries (extra `interop`), built here, saved and loaded again.

Without a network: every model is made from a configuration, with random weights.
"""

import anndata
import numpy as np
import pytest
import scvi
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from pythae.models import AE, VAE, WAE_MMD, AEConfig, AutoModel, VAEConfig, WAE_MMD_Config
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from sklearn.decomposition import PCA
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import sculptlab as sl
from sculptlab.training.encodings import decoded, encoded

IMAGES = 2 * torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 1


def standard(samples, mean, variance):
    """Whether samples are normal draws of these means and variances: mean 0 and variance 1 after standardization."""
    noise = (torch.as_tensor(samples) - torch.as_tensor(mean)) / torch.as_tensor(variance).sqrt()
    return abs(noise.mean()) < 0.3 and abs(noise.std() - 1) < 0.2


@pytest.fixture
def kl(tmp_path):
    """A tiny autoencoder of latent diffusion: 16 x 16 pixels to 4 x 8 x 8."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    AutoencoderKL(block_out_channels=(16, 16), latent_channels=4, norm_num_groups=8, **blocks).save_pretrained(tmp_path)
    return AutoencoderKL.from_pretrained(tmp_path)


def test_diffusers_autoencoder_kl(kl):
    with torch.no_grad():
        posterior = kl.encode(IMAGES).latent_dist
    places = {name: value.flatten(2).transpose(1, 2) for name, value in (("mean", posterior.mean), ("var", posterior.var))}
    found = sl.latents(kl, IMAGES, places="all", batch_size=60)
    assert torch.equal(found["means"], places["mean"].flatten(0, 1))
    assert standard(found["samples"], found["means"], places["var"].flatten(0, 1))
    one = sl.latents(kl, IMAGES.numpy())["means"]
    chosen = (torch.from_numpy(one)[:, None] - places["mean"]).abs().amax(2).argmin(1)
    torch.testing.assert_close(torch.from_numpy(one), places["mean"][torch.arange(60), chosen])
    assert len(chosen.unique()) > 20  # of 64 places
    assert decoded(kl, posterior.mean).shape == IMAGES.shape


def test_diffusers_autoencoder_tiny(tmp_path):
    widths = {"encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8)}
    made = AutoencoderTiny(**widths, num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1), latent_channels=2)
    made.save_pretrained(tmp_path)
    model = AutoencoderTiny.from_pretrained(tmp_path)
    with torch.no_grad():
        expected = model.encode(IMAGES).latents
    found = sl.latents(model, IMAGES, places="all")["codes"]
    torch.testing.assert_close(found, expected.flatten(2).transpose(1, 2).flatten(0, 1))
    explorer = sl.Explorer(model, IMAGES)  # 2 x 4 x 4 values count as latents
    assert explorer.codes.shape == (60, 32)
    assert explorer.decode(explorer.codes[:2]).shape == (2, 16, 16, 3)


@pytest.mark.parametrize(("kind", "config"), [(AE, AEConfig), (VAE, VAEConfig), (WAE_MMD, WAE_MMD_Config)])
def test_pythae(kind, config, tmp_path):
    kind(config(input_dim=(3, 16, 16), latent_dim=4)).save(str(tmp_path))
    model = AutoModel.load_from_folder(str(tmp_path))
    images = (IMAGES + 1) / 2
    with torch.no_grad():
        expected = model.eval().encoder(images)
    found = sl.latents(model, images)
    torch.testing.assert_close(found["means" if kind is VAE else "codes"], expected.embedding)
    assert kind is not VAE or standard(found["samples"], found["means"], expected.log_covariance.exp())
    explorer = sl.Explorer(model, images)
    assert explorer.decode(explorer.codes).shape == (60, 16, 16, 3)
    assert encoded(model, images) is not None


def test_scvi_tools(tmp_path):
    cells = scvi.data.synthetic_iid(batch_size=60)
    scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
    made = scvi.model.SCVI(cells, n_latent=5, n_hidden=16)
    made.train(1, accelerator="cpu", enable_progress_bar=False, logger=False)
    made.save(str(tmp_path / "model"))
    model = scvi.model.SCVI.load(str(tmp_path / "model"), cells, accelerator="cpu")
    mean, variance = model.get_latent_representation(cells, return_dist=True)
    found = sl.latents(model, cells)
    assert np.array_equal(found["means"], mean)
    assert standard(found["samples"], mean, variance)
    assert np.array_equal(found["samples"], sl.latents(model, cells)["samples"])
    few = sl.latents(model, anndata.AnnData(cells.X, cells.obs, cells.var)[:30].copy())
    assert few["means"].shape == (30, 5)


def test_scikit_learn():
    table = IMAGES.flatten(1).numpy()
    model = PCA(3, random_state=0).fit(table)
    assert np.array_equal(sl.latents(model, table)["codes"], model.transform(table))


def test_sentence_transformers(tmp_path):
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "sees", "the", "dog"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(tmp_path)
    transformer = Transformer(str(tmp_path))
    SentenceTransformer(modules=[transformer, Pooling(8)], device="cpu").save(str(tmp_path / "saved"))
    model = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    texts = ["a cat sees the dog", "the dog", "a dog sees a cat"] * 10
    found = sl.latents(model, texts)["codes"]
    assert found.shape == (30, 8)
    np.testing.assert_allclose(found, model.encode(texts), rtol=1e-6)
