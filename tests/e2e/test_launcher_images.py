"""Archives of images: large ones in little memory, bad ones in one sentence."""
import hashlib
import io
import json
import os
import subprocess
import tarfile

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped, time_limit

MB = 1 << 20


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    context.state["cluster"] = Cluster(context, name="pictures").create()
    context.state["cluster"].load_image()


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


class Zeros(io.RawIOBase):
    def __init__(self, size):
        self.left = size

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return bytes(size)


def write_image(path, reference, size):
    """An image with one file of that size; zeros, which the engine stores and we need not."""
    layer = path + ".layer"
    with tarfile.open(layer, "w") as tar:
        member = tarfile.TarInfo("zeros")
        member.size = size
        tar.addfile(member, Zeros(size))
    digest = hashlib.sha256()
    with open(layer, "rb") as file:
        while piece := file.read(MB):
            digest.update(piece)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "test"}],
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]}}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member_name, content in ((name, config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(member_name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.add(layer, "layer.tar")
    os.unlink(layer)
    return path


def load(cluster, archive):
    """(what was printed, the most memory it ever had, in bytes)"""
    process = subprocess.Popen([cluster.ctl, "image", "load", cluster.name, "--archive", archive, "--home", cluster.home],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    said = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    return said, usage.ru_maxrss * 1024


@time_limit(300)
def test_an_archive_of_300_mb_is_sent_in_little_memory(context):
    cluster = context.state["cluster"]
    small = os.path.join(context.work, "busybox.tar")
    large = write_image(os.path.join(context.work, "large.tar"), "localhost/large:1", 300 * MB)
    try:
        assert os.path.getsize(large) > 300 * MB
        _, with_small = load(cluster, small)
        said, with_large = load(cluster, large)
        assert_matches(r"localhost/large:1 is in " + context.engine, said)
        assert with_large - with_small < 20 * MB, (with_small, with_large)
        there = context.run("curl", "-sf", "--unix-socket", context.socket, "http://engine/v1.41/images/json").stdout
        assert "localhost/large:1" in there
    finally:
        os.unlink(large)
        context.run("curl", "-sf", "-X", "DELETE", "--unix-socket", context.socket,
                    "http://engine/v1.41/images/localhost/large:1?force=true", check=False)


def test_what_is_wrong_with_an_archive_is_said_in_one_sentence(context):
    cluster = context.state["cluster"]
    good = os.path.join(context.work, "busybox.tar")
    with open(good, "rb") as file:
        content = file.read()
    cases = {"cut.tar": (content[:len(content) // 2], "is cut off"), "text.tar": (b"hello\n" * 500, "is not a tar archive"),
             "empty.tar": (b"", "is empty")}
    for name, (bytes_, words) in cases.items():
        path = os.path.join(context.work, name)
        with open(path, "wb") as file:
            file.write(bytes_)
        refused(cluster, path, words, "BadArchive")
    plain = os.path.join(context.work, "plain.tar")
    with tarfile.open(plain, "w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    refused(cluster, plain, "has no image in it", "BadArchive")
    refused(cluster, context.work, "is a folder", "BadArchive")
    refused(cluster, os.path.join(context.work, "nowhere.tar"), "there is no file", "NotFound")
    # What only the engine can tell is told with its words.
    broken = write_image(os.path.join(context.work, "broken.tar"), "localhost/broken:1", 1000)
    with open(broken, "r+b") as file:
        text = file.read()
        file.seek(text.index(b'"sha256:') + 8)
        file.write(b"0" * 64)
    refused(cluster, broken, "the engine does not take", "BadArchive")


def refused(cluster, path, words, reason):
    done = cluster.run_ctl("image", "load", cluster.name, "--archive", path, check=False)
    assert done.returncode == 3, (path, done)
    assert words in done.stderr and f"[{reason}]" in done.stderr, done.stderr
    assert done.stdout == "", done.stdout


def test_an_image_that_is_there_already_is_told_from_one_that_is_nowhere(context):
    cluster = context.state["cluster"]
    assert_matches("was already in", cluster.run_ctl("image", "load", cluster.name, "--image", IMAGE).stdout)
    missing = cluster.run_ctl("image", "load", cluster.name, "--image", "localhost/nowhere:1", check=False)
    assert missing.returncode == 3 and "[ImageNotFound]" in missing.stderr, missing
