"""Where image sets lie and how they get there: from a server on this machine that truncates, alters, stalls and dies."""

import contextlib
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sculptlab.data import DataDamaged, DataNotFound, available, checksums, downloads, fetch, folders, sources
from sculptlab.data.downloads import locate
from sculptlab.data.sources import PUBLISHED, Download, File, Source

REPOSITORY = Path(__file__).resolve().parents[3]


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


class Mirror:
    """Serves `files`; `fault(path)` may say "truncated", "altered", "missing", "silent", "endless", "slow", or a length."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.fault = lambda path: ""
        self.pause = 0.0
        self.over = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked[self.path] += 1
                fault, body = mirror.fault(self.path), mirror.files.get(self.path.rpartition("/")[2], b"")
                if fault == "silent":
                    mirror.over.wait(20)
                    return
                time.sleep(mirror.pause)
                if fault == "missing":
                    self.send_error(404)
                    return
                self.send_response(200)
                if fault != "endless":
                    self.send_header("Content-Length", fault.partition("length ")[2] or str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    while fault == "endless" and not mirror.over.is_set():
                        self.wfile.write(b"x" * 2**16)
                    for byte in body if fault == "slow" else b"":
                        self.wfile.write(bytes([byte]))
                        mirror.over.wait(0.02)
                sent = {"truncated": body[: len(body) // 2], "altered": body[:-1] + b"?"}.get(fault, body)
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror():
    served = Mirror()
    yield served
    served.close()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("SCULPTLAB_DATA", raising=False)
    monkeypatch.setattr(folders, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(checksums, "_checked_here", {})
    return tmp_path / "cache"


@pytest.fixture
def mnist(mirror, monkeypatch) -> Source:
    """A set of two plain files with two mirrors, in MNIST's place."""
    contents = {"train": b"a" * 200_000, "test": b"b" * 3_000}
    files = {split: File(f"MNIST/raw/{split}.bin", md5(content)) for split, content in contents.items()}
    mirror.files = {f"{split}.bin": content for split, content in contents.items()}
    gets = tuple(
        Download(file.path, (f"{mirror.url}/1/{split}.bin", f"{mirror.url}/2/{split}.bin"), file.checksum, None)
        for split, file in files.items()
    )
    fake = replace(PUBLISHED["mnist"], splits={split: (file,) for split, file in files.items()}, downloads=gets)
    monkeypatch.setitem(PUBLISHED, "mnist", fake)
    return fake


MEMBERS = {"cifar-10-batches-py/data_batch_1": b"c" * 5_000, "cifar-10-batches-py/test_batch": b"d" * 4_000}


def packed(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in MEMBERS.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, content in MEMBERS.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(params=["tar.gz", "zip"])
def cifar10(request, mirror, monkeypatch) -> Source:
    """A set in an archive, in CIFAR-10's place."""
    name, content = f"cifar-10-python.{request.param}", packed(request.param)
    mirror.files = {name: content}
    splits = {split: (File(path, md5(MEMBERS[path])),) for split, path in zip(("train", "test"), MEMBERS, strict=True)}
    get = Download(name, (f"{mirror.url}/{name}",), md5(content), len(content), unpacks="cifar-10-batches-py")
    fake = replace(PUBLISHED["cifar10"], splits=splits, downloads=(get,))
    monkeypatch.setitem(PUBLISHED, "cifar10", fake)
    return fake


def left_over(root: Path) -> list[str]:
    return [str(path) for path in root.rglob("*") if ".part" in path.name or ".old" in path.name]


# --- checksums -------------------------------------------------------------------------------------------------------


def test_checksums_have_their_known_values(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert checksums.compute_checksum(tmp_path / "hello", "md5") == "md5:b1946ac92492d2347c6235b4d2611184"
    git = "git-blob-sha1:ce013625030ba8dba906f756967f9e9ca394464a"  # what `git hash-object` says of "hello\n"
    assert checksums.compute_checksum(tmp_path / "hello", "git-blob-sha1") == git


def test_the_checksum_of_a_folder_sees_names_and_contents_of_its_images_only(tmp_path):
    def tree() -> str:
        return checksums.compute_checksum(tmp_path, "tree-sha256")

    (tmp_path / "a.JPEG").write_bytes(b"1")
    (tmp_path / "b.JPEG").write_bytes(b"2")
    first = tree()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert tree() == first
    (tmp_path / "b.JPEG").rename(tmp_path / "c.JPEG")
    renamed = tree()
    (tmp_path / "c.JPEG").write_bytes(b"3")
    assert len({first, renamed, tree()}) == 3


def test_a_verified_file_is_not_read_again_until_it_changes(tmp_path, cache, monkeypatch):
    path, reads, compute = tmp_path / "f", [], checksums.compute_checksum
    path.write_bytes(b"right")
    monkeypatch.setattr(checksums, "compute_checksum", lambda p, kind: reads.append(p) or compute(p, kind))
    for _ in range(3):
        checksums.verify(path, md5(b"right"))
    assert len(reads) == 1
    path.write_bytes(b"wrong")  # the same size
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataDamaged, match=r"f is not the published one: 5 bytes, md5:.* instead of md5:"):
        checksums.verify(path, md5(b"right"))
    assert len(reads) == 2
    assert json.loads((cache / "checked.json").read_text())[str(path.resolve())]["sum"] == md5(b"wrong")


def test_a_cache_that_cannot_be_written_needs_no_second_reading(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(folders, "writable", lambda folder: False)
    path, reads, compute = tmp_path / "f", [], checksums.compute_checksum
    path.write_bytes(b"right")
    monkeypatch.setattr(checksums, "compute_checksum", lambda p, kind: reads.append(p) or compute(p, kind))
    for _ in range(2):
        checksums.verify(path, md5(b"right"))
    assert len(reads) == 1
    assert not cache.exists()


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_corrupt_record_of_verified_files_is_written_anew(tmp_path, cache, content):
    (tmp_path / "f").write_bytes(b"right")
    cache.mkdir()
    (cache / "checked.json").write_text(content)
    checksums.verify(tmp_path / "f", md5(b"right"))
    assert str((tmp_path / "f").resolve()) in json.loads((cache / "checked.json").read_text())


def test_a_truncated_image_in_a_folder_is_named(tmp_path, cache):
    for i in range(3):
        (tmp_path / f"val_{i}.JPEG").write_bytes(b"\xff\xd8 image \xff\xd9")
    right = checksums.compute_checksum(tmp_path, "tree-sha256")
    assert checksums.verify(tmp_path, right) == right
    (tmp_path / "val_1.JPEG").write_bytes(b"\xff\xd8 im")
    with pytest.raises(DataDamaged, match=r"3 images, cut short or overwritten: val_1.JPEG"):
        checksums.verify(tmp_path, right)


# --- the tables ------------------------------------------------------------------------------------------------------


def test_the_readme_in_data_names_every_set_its_license_and_its_checksums():
    text = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")
    for source in PUBLISHED.values():
        for fact in (source.name, source.page, source.license, *(d.checksum.split(":")[1] for d in source.downloads)):
            assert fact in text, f"{source.name}: {fact}"


def test_names_mirrors_and_checksums_are_torchvisions():
    from torchvision import datasets as tv

    for source, theirs in ((PUBLISHED["mnist"], tv.MNIST), (PUBLISHED["fashion_mnist"], tv.FashionMNIST)):
        ours = {d.path: (d.checksum, sorted(d.urls)) for d in source.downloads}  # torchvision 0.21 has another order
        assert ours == {
            f"{theirs.__name__}/raw/{name}": (f"md5:{sum_}", sorted(mirror + name for mirror in theirs.mirrors))
            for name, sum_ in theirs.resources
        }
    (cifar,) = PUBLISHED["cifar10"].downloads
    assert (cifar.path, cifar.urls, cifar.checksum) == (
        tv.CIFAR10.filename,
        (tv.CIFAR10.url,),
        f"md5:{tv.CIFAR10.tgz_md5}",
    )
    files = [file for split in PUBLISHED["cifar10"].splits.values() for file in split]
    ours = {file.path: file.checksum for file in files}
    listed = [*tv.CIFAR10.train_list, *tv.CIFAR10.test_list, (tv.CIFAR10.meta["filename"], tv.CIFAR10.meta["md5"])]
    assert ours == {f"{tv.CIFAR10.base_folder}/{name}": f"md5:{sum_}" for name, sum_ in listed}


# --- where -----------------------------------------------------------------------------------------------------------


def test_a_clone_keeps_its_data_beside_the_package_and_a_wheel_in_the_users_cache(monkeypatch):
    assert folders.clone() == REPOSITORY
    assert folders.cache() == REPOSITORY / "data"
    monkeypatch.setattr(folders, "clone", lambda: None)
    assert folders.cache().name == "sculptlab"
    assert REPOSITORY not in folders.cache().parents
    monkeypatch.undo()
    monkeypatch.setattr(folders, "writable", lambda folder: False)
    assert folders.cache() != REPOSITORY / "data"


def test_sculptlab_data_comes_first_and_must_be_a_folder(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "mine"))
    assert folders.roots() == [tmp_path / "mine", cache]
    (tmp_path / "mine").write_text("")
    with pytest.raises(ValueError, match="SCULPTLAB_DATA must name a folder, got the file"):
        folders.roots()


def test_looking_needs_no_network(cache, mnist, mirror, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("asked the network"))
    assert not available("mnist")
    assert locate("mnist") is None
    (cache / "MNIST" / "raw").mkdir(parents=True)
    (cache / "MNIST/raw/train.bin").write_bytes(mirror.files["train.bin"])
    assert locate("mnist") == fetch("mnist") == cache / "MNIST"
    assert not available("mnist", "test")
    for name in sources.BUNDLED:
        assert available(name)
        assert fetch(name).is_dir()


def test_an_unpacked_file_will_do_and_has_a_checksum_of_its_own(tmp_path):
    file = File("MNIST/raw/labels.gz", "md5:packed", "md5:plain")
    assert file.find(tmp_path) is None
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "MNIST/raw/labels").write_bytes(b"")
    assert file.find(tmp_path) == (tmp_path / "MNIST/raw/labels", "md5:plain")
    (tmp_path / "MNIST/raw/labels.gz").write_bytes(b"")
    assert file.find(tmp_path) == (tmp_path / "MNIST/raw/labels.gz", "md5:packed")


# --- getting ---------------------------------------------------------------------------------------------------------


def test_a_set_is_downloaded_once_whole_and_with_a_bar(cache, mnist, mirror, capsys):
    assert fetch("mnist") == cache / "MNIST"
    assert "train.bin: 100%" in capsys.readouterr().err
    assert (cache / "MNIST/raw/train.bin").read_bytes() == mirror.files["train.bin"]
    fetch("mnist")
    fetch("mnist", "test")  # came along
    assert mirror.asked == {"/1/train.bin": 1, "/1/test.bin": 1}
    assert not left_over(cache)


@pytest.mark.parametrize(
    "fault", ["truncated", "altered", "missing", "endless", "slow", "length many", "length -5", "length 99999999999999999999"]
)
def test_a_bad_mirror_is_passed_over(cache, mnist, mirror, fault, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 300_000)
    monkeypatch.setattr(downloads, "PATIENCE", 0.3)
    mirror.fault = lambda path: fault if path.startswith("/1/") else ""
    fetch("mnist")
    assert (cache / "MNIST/raw/train.bin").read_bytes() == mirror.files["train.bin"]
    assert mirror.asked["/2/train.bin"] == (0 if fault.startswith("length") else 1)  # the content itself is right


@pytest.mark.parametrize(
    ("fault", "said"),
    [("truncated", "got 100,000 bytes|IncompleteRead"), ("altered", "got 200,000 bytes, md5"), ("missing", "404")],
)
def test_bytes_that_are_not_the_published_ones_are_never_put_in_place(cache, mnist, mirror, fault, said):
    mirror.fault = lambda path: fault
    with pytest.raises(DataNotFound, match=said) as caught:
        fetch("mnist")
    assert "/1/train.bin: " in str(caught.value)
    assert "/2/train.bin: " in str(caught.value)
    assert [path.name for path in cache.rglob("*") if path.is_file() and not path.name.startswith(".")] == []
    assert not left_over(cache)


def test_a_silent_server_is_given_up(cache, mnist, mirror, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    mirror.fault = lambda path: "silent"
    with pytest.raises(DataNotFound, match=r"no answer within 0\.2 s|timed out"):
        fetch("mnist")


def test_offline_says_what_to_type_what_to_put_where_and_what_can_replace_it(cache, cifar10, mirror):
    mirror.close()
    with pytest.raises(FileNotFoundError) as caught:
        fetch("cifar10")
    (get,) = cifar10.downloads
    said = str(caught.value)
    for words in (
        "cifar10 (train) is not on this machine and could not be downloaded",
        f"{get.urls[0]}: ",
        "sculptlab fetch cifar10",
        f"to {cache / get.path} (it is unpacked on first use; {get.checksum})",
        "SCULPTLAB_DATA",
        'sl.load("patches")',
    ):
        assert words in said


@pytest.mark.parametrize("name", [name for name in sources.NAMES if name not in sources.BUNDLED])
def test_every_set_has_a_bundled_replacement_and_a_place(cache, name, monkeypatch):
    def offline(*_, **options):
        raise OSError("offline")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", offline)
    with pytest.raises(DataNotFound) as caught:
        fetch(name)
    assert PUBLISHED[name].stand_in in sources.BUNDLED
    assert f'sl.load("{PUBLISHED[name].stand_in}")' in str(caught.value)
    assert all(str(cache / get.path) in str(caught.value) for get in PUBLISHED[name].downloads)


def test_an_interruption_leaves_nothing_and_the_next_try_succeeds(cache, mnist, cifar10, mirror, monkeypatch):
    with monkeypatch.context() as patch:

        def interrupted(*_):
            raise KeyboardInterrupt

        patch.setattr(checksums, "compute_checksum", interrupted)
        for name in ("mnist", "cifar10"):
            with pytest.raises(KeyboardInterrupt):
                fetch(name)
    assert not left_over(cache)
    assert not available("mnist")
    assert not (cache / "cifar-10-batches-py").exists()
    fetch("cifar10")


def test_what_a_killed_process_left_is_overwritten(cache, cifar10):
    (cache / ".cifar-10-batches-py.part" / "cifar-10-batches-py").mkdir(parents=True)
    (cache / ".cifar-10-batches-py.part" / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half")
    (cache / f".{cifar10.downloads[0].path}.part").write_bytes(b"half")
    fetch("cifar10")
    assert (cache / "cifar-10-batches-py/data_batch_1").read_bytes() == MEMBERS["cifar-10-batches-py/data_batch_1"]
    assert not left_over(cache)


TWO = """
import sys
from dataclasses import replace
from pathlib import Path
from sculptlab.data import folders
from sculptlab.data import sources
from sculptlab.data.downloads import fetch
url, cache, md5 = sys.argv[1:]
folders.cache = lambda: Path(cache)
file = sources.File("MNIST/raw/train.bin", md5)
get = sources.Download(file.path, (url + "/1/train.bin",), md5, None)
sources.PUBLISHED["mnist"] = replace(sources.PUBLISHED["mnist"], splits={"train": (file,)}, downloads=(get,))
print(fetch("mnist"))
"""


def test_two_processes_asking_at_once_download_once(cache, mnist, mirror):
    mirror.pause = 1.5
    command = [sys.executable, "-c", TWO, mirror.url, str(cache), mnist.downloads[0].checksum]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [out.strip() for out, _ in said] == [str(cache / "MNIST")] * 2, said
    assert mirror.asked == {"/1/train.bin": 1}


def test_a_damaged_file_in_the_cache_is_replaced(cache, mnist, mirror, capsys):
    path = fetch("mnist") / "raw" / "train.bin"
    path.write_bytes(b"short")
    fetch("mnist")
    assert path.read_bytes() == mirror.files["train.bin"]
    assert f"{path} is not the published one: 5 bytes" in capsys.readouterr().err
    path.write_bytes(b"short")
    mirror.close()
    with pytest.raises(DataNotFound, match=r"train\.bin is not the published one: 5 bytes"):
        fetch("mnist")
    assert path.read_bytes() == b"short"


def test_a_damaged_file_of_a_user_is_named_and_left_alone(cache, mnist, mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "mine"))
    path = fetch("mnist") / "raw" / "train.bin"
    assert path.is_relative_to(tmp_path / "mine")
    path.write_bytes(b"short")
    with pytest.raises(DataDamaged, match=r"train\.bin is not .* Remove it, then type: sculptlab fetch mnist") as caught:
        fetch("mnist")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"short"


def test_a_read_only_sculptlab_data_sends_downloads_to_the_cache(cache, mnist, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.setenv("SCULPTLAB_DATA", str(mine))
    monkeypatch.setattr(folders, "writable", lambda folder: not Path(folder).is_relative_to(mine))
    assert fetch("mnist") == cache / "MNIST"
    monkeypatch.setattr(folders, "writable", lambda folder: False)
    (cache / "MNIST/raw/train.bin").unlink()
    with pytest.raises(DataNotFound, match="cannot be written"):
        fetch("mnist")


def test_an_archive_is_unpacked_whole_and_not_kept(cache, cifar10, mirror):
    folder = fetch("cifar10")
    assert {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()} == MEMBERS
    assert not (cache / cifar10.downloads[0].path).exists()
    (folder / "data_batch_1").write_bytes(b"damaged")
    fetch("cifar10")
    assert {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()} == MEMBERS
    assert mirror.asked.total() == 2
    assert not left_over(cache)


def test_an_archive_put_there_by_hand_is_unpacked(cache, cifar10, mirror):
    (get,) = cifar10.downloads
    cache.mkdir()
    (cache / get.path).write_bytes(mirror.files[get.path])
    assert locate("cifar10") == cache / get.path
    assert fetch("cifar10") == locate("cifar10") == cache / "cifar-10-batches-py"
    assert mirror.asked.total() == 0


def test_a_truncated_archive_of_a_user_is_named(cache, cifar10, mirror, tmp_path, monkeypatch):
    (get,) = cifar10.downloads
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / get.path).write_bytes(mirror.files[get.path][:100])
    with pytest.raises(DataDamaged, match=r"cifar-10-python.* is not the published one: 100 bytes"):
        fetch("cifar10")


def test_a_users_folder_that_lacks_a_split_is_not_replaced(cache, cifar10, tmp_path, monkeypatch):
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "mine"))
    mine = tmp_path / "mine" / "cifar-10-batches-py"
    mine.mkdir(parents=True)
    (mine / "test_batch").write_bytes(MEMBERS["cifar-10-batches-py/test_batch"])
    assert fetch("cifar10", "test") == mine
    assert fetch("cifar10", "train") == cache / "cifar-10-batches-py"
    assert [path.name for path in mine.iterdir()] == ["test_batch"]


def test_what_our_own_archive_held_is_trusted_until_it_changes(cache, cifar10, monkeypatch):
    """Should a checksum of ours be wrong, the published archive still loads."""
    wrong = {split: (replace(file, checksum=md5(b"no")),) for split, (file,) in cifar10.splits.items()}
    monkeypatch.setitem(PUBLISHED, "cifar10", replace(cifar10, splits=wrong))
    folder = fetch("cifar10")
    (folder / "data_batch_1").write_bytes(b"changed")
    published = PUBLISHED["cifar10"]
    assert downloads._verified_root(published, "train")[0] is None
    assert downloads._verified_root(published, "test")[0] == cache


# --- bad input -------------------------------------------------------------------------------------------------------


def test_unknown_names_and_splits_are_refused_with_the_legal_ones():
    for call in (fetch, locate, available):
        with pytest.raises(ValueError, match=r"name must be one of digits, .*, dsprites; got 'minst'"):
            call("minst")
        with pytest.raises(ValueError, match=r"split of mnist must be one of \('train', 'test'\) .* got 'val'"):
            call("mnist", "val")
        with pytest.raises(ValueError, match=r"split must be None for digits.*\.split\(\)"):
            call("digits", "test")
