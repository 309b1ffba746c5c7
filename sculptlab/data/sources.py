"""Where each image set comes from: files, mirrors, published checksums, licenses. data/manifest.json is a copy of this.

Paths are those torchvision uses, beneath one folder that all sets share. Checksums are "kind:hex", see `checksums`.
No torch here: `sculptlab doctor` reads these tables even where torch does not import.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class File:
    """One file or folder that a split needs; `unpacked` is the checksum of a .gz file's content."""

    path: str
    checksum: str
    unpacked: str = ""

    def at(self, root: Path) -> Path | None:
        """Where it lies beneath `root`, packed or (some tools leave only that) unpacked."""
        packed = root / self.path
        unpacked = packed.with_suffix("") if self.unpacked else packed
        return packed if packed.exists() else unpacked if unpacked.exists() else None

    def expected(self, path: Path) -> str:
        """The checksum that `path`, as found by `at`, must have."""
        return self.checksum if path.name == Path(self.path).name else self.unpacked


@dataclass(frozen=True)
class Download:
    """One file to get: put at `path`, or, if it `unpacks` to a folder, unpacked beside it."""

    path: str
    urls: tuple[str, ...]
    checksum: str
    size: int | None
    unpacks: str = ""


@dataclass(frozen=True)
class Source:
    """A published image set; `splits` says which files each split reads, the default split first."""

    name: str
    title: str
    page: str
    license: str
    folder: str
    stand_in: str
    splits: Mapping[str, tuple[File, ...]]
    downloads: tuple[Download, ...]


def _idx_set(name: str, title: str, page: str, license: str, folder: str, mirrors: tuple[str, ...], **sums: Any) -> Source:
    """A set in MNIST's format: four .gz files; `sums` maps a file's stem to (bytes, md5, md5 of its content)."""
    stems = {"train_images": "train-images-idx3", "train_labels": "train-labels-idx1"}
    stems |= {"test_images": "t10k-images-idx3", "test_labels": "t10k-labels-idx1"}
    files, downloads = {}, []
    for key, stem in stems.items():
        size, md5, unpacked = sums[key]
        archive = f"{stem}-ubyte.gz"
        files[key] = File(f"{folder}/raw/{archive}", f"md5:{md5}", f"md5:{unpacked}")
        downloads.append(Download(files[key].path, tuple(m + archive for m in mirrors), f"md5:{md5}", size))
    splits = {split: (files[f"{split}_images"], files[f"{split}_labels"]) for split in ("train", "test")}
    return Source(name, title, page, license, folder, "digits", splits, tuple(downloads))


MNIST = _idx_set(
    "mnist",
    "MNIST handwritten digits (LeCun, Cortes and Burges)",
    "http://yann.lecun.com/exdb/mnist/",
    "CC BY-SA 3.0, as Keras states it; the authors' page names none",
    "MNIST",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    train_images=(9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
    train_labels=(28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
    test_images=(1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
    test_labels=(4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
)

FASHION_MNIST = _idx_set(
    "fashion_mnist",
    "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017)",
    "https://github.com/zalandoresearch/fashion-mnist",
    "MIT",
    "FashionMNIST",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    train_images=(26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    train_labels=(29_515, "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
    test_images=(4_422_102, "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
    test_labels=(5_148, "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
)

_CIFAR10_META = File("cifar-10-batches-py/batches.meta", "md5:5ff9c542aee3614f3951f8cda6e48888")
_CIFAR10_TRAIN = (
    "c99cafc152244af753f735de768cd75f",
    "d4bba439e000b95fd0a9bffe97cbabec",
    "54ebc095f3ab1f0389bbae665268c751",
    "634d18415352ddfa80567beed471001a",
    "482c414d41f54cd18b22e5b47cb7c3cb",
)
CIFAR10 = Source(
    "cifar10",
    "CIFAR-10 (Krizhevsky 2009)",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
    "none stated; the authors ask to cite their technical report",
    "cifar-10-batches-py",
    "patches",
    {
        "train": (
            *(File(f"cifar-10-batches-py/data_batch_{i}", f"md5:{md5}") for i, md5 in enumerate(_CIFAR10_TRAIN, 1)),
            _CIFAR10_META,
        ),
        "test": (File("cifar-10-batches-py/test_batch", "md5:40351d587109b95175f43aff81a1287e"), _CIFAR10_META),
    },
    (
        Download(
            "cifar-10-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            "md5:c58f30108f718f92721af3b95e74349a",
            170_498_071,
            unpacks="cifar-10-batches-py",
        ),
    ),
)

_TINY_WORDS = (
    File("tiny-imagenet-200/wnids.txt", "md5:6c81990e2d7ae3bd3c88dceb97b46342"),
    File("tiny-imagenet-200/words.txt", "md5:56b81e64546942b54a5946f584dba635"),
)
# not published: measured on the images as the archive holds them; what our own download unpacks is trusted as it is
_TINY_VAL = "tree-sha256:20228f91f2b2963648bb43b166f83a650bc0d732d1d876674b4d556d23376d71"
TINY_IMAGENET = Source(
    "tiny_imagenet",
    "Tiny ImageNet (Stanford CS231n): 64x64 images of 200 of ImageNet's classes",
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    "none stated; cut from ImageNet, whose terms allow non-commercial research and education",
    "tiny-imagenet-200",
    "patches",
    {
        "test": (
            *_TINY_WORDS,
            File("tiny-imagenet-200/val/val_annotations.txt", "md5:e9a8a28f9975223592f4c6da9fd2369b"),
            File(
                "tiny-imagenet-200/val/images",
                "tree-sha256:20228f91f2b2963648bb43b166f83a650bc0d732d1d876674b4d556d23376d71",
            ),
        ),
        # no checksum of the training images alone is known: they are checked with the archive, then counted and decoded
        "train": (*_TINY_WORDS, File("tiny-imagenet-200/train", "tree-sha256:")),
    },
    (
        Download(
            "tiny-imagenet-200.zip",
            ("http://cs231n.stanford.edu/tiny-imagenet-200.zip",),
            "md5:90528d7ca1a48142e341f4ef8d21d0de",
            248_100_043,
            unpacks="tiny-imagenet-200",
        ),
    ),
)

_DSPRITES_NPZ = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
_DSPRITES_SUM = "git-blob-sha1:d98996d3f8ee1550e06b9d4ed78d0beb478910d5"
DSPRITES = Source(
    "dsprites",
    "dSprites (Matthey, Higgins, Hassabis and Lerchner 2017)",
    "https://github.com/google-deepmind/dsprites-dataset",
    "Apache 2.0 (the repository); its images were drawn with LÖVE, zlib/libpng license",
    "dsprites",
    "sprites",
    {"all": (File(f"dsprites/{_DSPRITES_NPZ}", _DSPRITES_SUM),)},
    (
        Download(
            f"dsprites/{_DSPRITES_NPZ}",
            (
                f"https://github.com/google-deepmind/dsprites-dataset/raw/master/{_DSPRITES_NPZ}",
                f"https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/{_DSPRITES_NPZ}",
            ),
            _DSPRITES_SUM,
            None,
        ),
    ),
)

PUBLISHED = {s.name: s for s in (MNIST, FASHION_MNIST, CIFAR10, TINY_IMAGENET, DSPRITES)}
BUNDLED = ("digits", "patches", "sprites")
NAMES = (*BUNDLED, *PUBLISHED)


def manifest() -> dict[str, Any]:
    """All of the above as plain data: the content of data/manifest.json."""
    return {name: asdict(source) for name, source in PUBLISHED.items()}
