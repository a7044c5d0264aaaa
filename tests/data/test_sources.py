import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from rakuten.data import archives, sources

IMAGE = "image_12_product_7.jpg"


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return content.getvalue()


def tarred(members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, body in members.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return content.getvalue()


def read(entry):
    try:
        return entry.read(1 << 20)
    except archives.READ_FAULTS:
        return None


@pytest.fixture
def find(tmp_path):
    """Find what lies below given files or folders: {place: content}, and the faults as text."""

    def find(*paths):
        with sources.Sources(tmp_path / "scratch") as found:
            for path in paths:
                found.add(path)
            entries = [entry for entries in found.tables.values() for entry in entries]
            entries += [image.entry for image in found.images]
            contents = {entry.place: read(entry) for entry in entries}
            parts = {image.entry.place: image.part for image in found.images}
        return contents, parts, "\n".join(map(str, found.faults.problems()))

    return find


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_finds_tables_and_images_at_any_depth(tmp_path, find):
    root = tmp_path / "given"
    write(root / "a" / "X_train_update.csv", b"x")
    write(root / "a" / "b" / "Y_train_CVw08PX.csv", b"y")
    write(root / "notes.csv", b"no")
    write(root / "logo.jpg", b"no")
    write(root / ".cache" / IMAGE, b"no")
    inner = zipped(
        {f"images/image_train/{IMAGE}": b"1", f"__MACOSX/{IMAGE}": b"no", f"._{IMAGE}": b"no"}
    )
    write(root / "down" / "all.zip", zipped({"images.zip": inner, "X_test_update.csv": b"t"}))
    write(root / "image_test.tar.gz", gzip.compress(tarred({f"./{IMAGE}": b"2"})))
    contents, parts, faults = find(root)
    assert contents == {
        "given/a/X_train_update.csv": b"x",
        "given/a/b/Y_train_CVw08PX.csv": b"y",
        "given/down/all.zip/X_test_update.csv": b"t",
        f"given/down/all.zip/images.zip/images/image_train/{IMAGE}": b"1",
        f"given/image_test.tar.gz/./{IMAGE}": b"2",
    }
    assert parts == {
        f"given/down/all.zip/images.zip/images/image_train/{IMAGE}": "train",
        f"given/image_test.tar.gz/./{IMAGE}": "test",
    }
    assert faults == ""


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (f"images/image_train/{IMAGE}", "train"),
        (f"IMAGE_TEST/{IMAGE}", "test"),
        (f"image_train/image_test/{IMAGE}", "test"),
        (f"image_training/{IMAGE}", ""),
        (f"images/{IMAGE}", ""),
    ],
)
def test_the_nearest_folder_decides_the_part(tmp_path, find, place, part):
    write(tmp_path / "given" / place, b"1")
    assert find(tmp_path / "given")[1] == {f"given/{place}": part}


def test_finds_single_files_and_reports_unknown_ones(tmp_path, find):
    image = write(tmp_path / IMAGE, b"1")
    unknown = write(tmp_path / "images.doc", b"2")
    contents, _, faults = find(image, unknown, tmp_path / "nowhere")
    assert contents == {IMAGE: b"1"}
    assert f"paths of no known kind (1): {unknown}: expected a folder, an archive" in faults
    assert f"paths that do not exist (1): {tmp_path / 'nowhere'}: check" in faults


def link_member(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def tar_info(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        (
            "a.zip",
            zipped({f"../../{IMAGE}": b"1"}),
            "would escape the target folder (1): a.zip/../../",
        ),
        (
            "a.zip",
            zipped({f"/etc/{IMAGE}": b"1"}),
            "would escape the target folder (1): a.zip//etc/",
        ),
        ("a.zip", zipped({f"..\\{IMAGE}": b"1"}), "would escape the target folder (1): a.zip/../"),
        ("a.zip", zipped({f"C:\\{IMAGE}": b"1"}), "would escape the target folder (1): a.zip/C:/"),
        ("a.zip", zipped({"../readme.txt": b"1"}), "would escape the target folder (1): a.zip/../"),
        ("a.zip", zipped({link_member(IMAGE): b"/etc/passwd"}), "are links (1): a.zip/image_12"),
        ("a.tar", tarred({f"../{IMAGE}": b"1"}), "would escape the target folder (1): a.tar/../"),
        ("a.tar", tarred({tar_info(IMAGE, tarfile.SYMTYPE): b""}), "are links (1): a.tar/image_"),
        ("a.tar", tarred({tar_info(IMAGE, tarfile.LNKTYPE): b""}), "are links (1): a.tar/image_"),
        (
            "a.tar",
            tarred({tar_info(IMAGE, tarfile.FIFOTYPE): b""}),
            "are not regular files (1): a.",
        ),
        ("a.zip", zipped({IMAGE: bytes(11 << 20)}), "unpack to far more than they hold (1): a.zip"),
    ],
)
def test_refuses_hostile_members(tmp_path, find, name, content, fault):
    contents, _, faults = find(write(tmp_path / name, content))
    assert contents == {}
    assert f"archive members that {fault}" in faults


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.zip", b"PK\x03\x04 no zip", "a.zip (File is not a zip file)"),
        ("a.zip", zipped({IMAGE: os.urandom(4096)})[:2048], "a.zip (File is not a zip file)"),
        ("a.tar", tarred({IMAGE: os.urandom(20000)})[:11000], "a.tar (unexpected end of data)"),
        ("a.tgz", gzip.compress(os.urandom(4096))[:2048], "a.tgz (Compressed file ended before"),
        ("a.tgz", b"no gzip", "a.tgz (Not a gzipped file"),
        ("a.tgz", gzip.compress(bytes(11 << 20)), "a.tgz (unpacks to far more than it holds)"),
    ],
    ids=["no-zip", "half-zip", "half-tar", "half-gzip", "no-gzip", "gzip-bomb"],
)
def test_reports_archives_that_cannot_be_read(tmp_path, find, name, content, fault):
    assert f"archives that cannot be read (1): {fault}" in find(write(tmp_path / name, content))[2]


def test_a_member_without_a_name_is_ignored(tmp_path, find):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in (("", b"1"), (IMAGE, b"2")):
            with archive.open(zipfile.ZipInfo(name), "w") as file:
                file.write(content)
    contents, _, faults = find(tmp_path / "a.zip")
    assert (contents, faults) == ({f"a.zip/{IMAGE}": b"2"}, "")


def test_encrypted_members_are_unreadable(tmp_path):
    content = bytearray(zipped({IMAGE: b"1"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path = write(tmp_path / "a.zip", bytes(content))
    with sources.Sources(tmp_path / "scratch") as found:
        found.add(path)
        with pytest.raises(archives.UnreadableError, match="encrypted"):
            found.images[0].entry.read(1)


@pytest.mark.parametrize(
    "name",
    [
        *("a.7z", "a.RAR", "a.tar.xz", "a.tar.bz2", "a.txz", "a.tar.zst", "X_train.csv.gz"),
        *("a.zip.001", "a.zipx", "a.r00", "a.part2.rar", "a.tar.Z", "a.TBZ2", "a.cpio", "a.wim"),
    ],
)
@pytest.mark.parametrize("place", ["given", "in a folder", "in an archive"])
def test_archives_of_other_kinds_are_named(tmp_path, find, name, place):
    if place == "given":
        given = write(tmp_path / name, b"1")
    elif place == "in a folder":
        given = write(tmp_path / "p" / "q" / name, b"1").parents[1]
    else:
        given = write(tmp_path / "p.zip", zipped({f"q/{name}": b"1"}))
    shown = name if place == "given" else f"{given.name}/q/{name}"
    contents, _, faults = find(given)
    assert contents == {}
    assert f"archives other than .zip .tar .tar.gz .tgz (1): {shown}: unpack them first" in faults


@pytest.mark.parametrize("name", ["images.zip.crdownload", "images.zip.part", "a.7z.PARTIAL"])
def test_archives_that_are_not_downloaded_completely_are_named(tmp_path, find, name):
    _, _, faults = find(write(tmp_path / "p" / name, b"1").parent)
    assert f"not downloaded completely (1): p/{name}: finish the downloads" in faults


@pytest.mark.parametrize("mistake", [TypeError, KeyError, IndexError, AttributeError, ValueError])
def test_programming_errors_do_not_count_as_damaged_files(mistake):
    assert not issubclass(mistake, archives.READ_FAULTS)


def test_opens_archives_within_archives_up_to_a_depth(tmp_path, find):
    content = zipped({IMAGE: b"1"})
    for _ in range(3):
        content = zipped({"inner.zip": content})
    contents, _, faults = find(write(tmp_path / "a.zip", content))
    assert contents == {f"a.zip/inner.zip/inner.zip/inner.zip/{IMAGE}": b"1"}
    assert faults == ""
    contents, _, faults = find(write(tmp_path / "a.zip", zipped({"inner.zip": content})))
    assert contents == {}
    assert "more than 3 archives within one another" in faults


def test_follows_links_only_within_the_folder(tmp_path, find):
    root = tmp_path / "given"
    write(root / "real" / IMAGE, b"1")
    secret = write(tmp_path / "elsewhere" / "image_1_product_1.jpg", b"2")
    (root / "X_train.csv").symlink_to(root / "real" / IMAGE)
    (root / "image_1_product_1.jpg").symlink_to(secret)
    (root / "more").symlink_to(secret.parent)
    (root / "readme.txt").symlink_to(secret)
    contents, _, faults = find(root)
    assert contents == {f"given/real/{IMAGE}": b"1", "given/X_train.csv": b"1"}
    assert (
        "links that lead out of the folder given (2): given/more, given/image_1_product_1.jpg: "
        "pass what they point to" in faults
    )


def test_a_folder_given_as_a_link_is_followed(tmp_path, find):
    write(tmp_path / "real" / IMAGE, b"1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert find(tmp_path / "link")[0] == {f"real/{IMAGE}": b"1"}


def test_reading_stops_at_the_limit_whatever_size_the_container_states():
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            assert 0 <= size <= (1 << 20) + 1
            return bytes(size)

    with pytest.raises(archives.UnreadableError, match="more than 1 MiB"):
        archives.Entry("a", 1, Endless).read(1 << 20)
    assert archives.Entry("a", 1, lambda: io.BytesIO(bytes(1 << 20))).read(1 << 20) == bytes(
        1 << 20
    )


def test_leaves_its_scratch_folder_empty(tmp_path, find):
    given = write(tmp_path / "a.zip", zipped({"b.zip": zipped({IMAGE: b"1"})}))
    assert find(given)[0] == {f"a.zip/b.zip/{IMAGE}": b"1"}
    assert list((tmp_path / "scratch").iterdir()) == []
