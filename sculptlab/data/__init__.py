"""Images as one tensor: published sets, rendered sprites, folders of pictures."""

from sculptlab.data.datasets import Dataset, load
from sculptlab.data.downloads import available, fetch
from sculptlab.data.image_folders import load_folder

__all__ = ["Dataset", "available", "fetch", "load", "load_folder"]
