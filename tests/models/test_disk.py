"""What is read and written: regular files only, links followed, no file for two purposes."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.arguments.outputs import require_outputs, require_outputs_in
from batchprophet.models.disk import (
    identity,
    open_input,
    output_target,
    read_input,
    write_atomically,
)
from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import read_instance
from batchprophet.models.traces import convert_trace
from batchprophet.online.adversary.witness import recheck
from batchprophet.online.environments import make_environment
from batchprophet.online.study.reading import read_study
from batchprophet.solvers.certificates.file import read_certificate
from batchprophet.solvers.library.record import read_record

pytestmark = pytest.mark.skipif(os.name == "nt", reason="devices, pipes and links of POSIX")

#: Every reader of a file that a person names.
READERS = {
    "instance": read_instance,
    "certificate": read_certificate,
    "record": read_record,
    "witness": recheck,
    "study": read_study,
    "trace": lambda path: convert_trace(path, round_ms=1, kv_capacity=9),
}


@pytest.fixture
def special(tmp_path):
    """What is no regular file: a pipe, a socket, a folder, a device."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's name is short
        bound.bind("socket")
        os.chdir(here)
    (tmp_path / "folder").mkdir()
    return {
        "a named pipe": tmp_path / "pipe",
        "a socket": tmp_path / "socket",
        "a folder": tmp_path / "folder",
        "a device": Path("/dev/zero"),
    }


@pytest.mark.parametrize("reader", READERS)
def test_what_may_never_end_is_not_read(special, reader, tmp_path):
    # Each through a link too: the link is not what is read.
    for kind, path in special.items():
        if reader == "witness" and kind == "a folder":
            continue  # of a witness, a folder is taken
        link = tmp_path / f"link to {kind}"
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(InputError) as refused:
                READERS[reader](name)
            assert str(refused.value) == f"{name}: cannot be read (expected a file, found {kind})"


def test_an_environment_is_no_device(tmp_path):
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"cannot be read \(expected a file, found a device\)"):
        make_environment(str(tmp_path / "zero.toml"))


def test_a_pipe_that_is_open_is_read_up_to_a_limit():
    # As the shell's <(…) hands it over.
    for content, fits in ((b"x" * 9, True), (b"x" * 11, False)):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        try:
            if fits:
                assert read_input(f"/dev/fd/{reading}", most=10) == content
                continue
            with pytest.raises(InputError, match=r"expected at most 0 MiB, found a larger file$"):
                read_input(f"/dev/fd/{reading}", most=10)
        finally:
            os.close(reading)


def test_a_trace_comes_through_a_pipe():
    reading, writing = os.pipe()
    os.write(writing, b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,3,4\n")
    os.close(writing)
    assert convert_trace(f"/dev/fd/{reading}", round_ms=1, kv_capacity=9).instance.n == 1
    os.close(reading)


def test_a_trace_from_a_pipe_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr("batchprophet.models.disk.MOST_OF_PIPE", 60)
    reading, writing = os.pipe()
    os.write(writing, b"arrived_at,num_prefill_tokens,num_decode_tokens\n" + b"0,3,4\n" * 9)
    os.close(writing)
    with pytest.raises(InputError, match="of a pipe, found more"):
        convert_trace(f"/dev/fd/{reading}", round_ms=1, kv_capacity=9)
    os.close(reading)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=r"sparse: expected at most 1,024 MiB, found a larger"):
        read_instance(path)


def test_what_is_no_regular_file_is_never_replaced(special, tmp_path):
    for kind, path in special.items():
        before = path.lstat()
        link = tmp_path / f"link to {kind}"
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(InputError) as refused:
                write_atomically(name, b"new")
            assert str(refused.value) == f"{name}: expected a file to write, found {kind}"
            with pytest.raises(InputError, match="expected a file to write"):
                require_outputs([("--out", name)])
        assert path.lstat().st_ino == before.st_ino
        assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(before.st_mode)


def test_a_link_stays_and_its_target_is_replaced_in_its_own_folder(tmp_path):
    target, link = tmp_path / "data" / "real.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "other").symlink_to(target)
    link.symlink_to("other")  # a link to a link
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "other").is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["real.json"]


def test_a_link_to_nowhere_makes_the_file_that_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("new.json")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "new.json").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_links_in_a_circle_and_names_that_no_file_has(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in (tmp_path / "loop", str(tmp_path / "null\0"), tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be written"):
            write_atomically(name, b"new")
        with pytest.raises(InputError, match="cannot be read"):
            open_input(name)


def test_the_longest_name_can_be_written(tmp_path):
    write_atomically(tmp_path / ("ü" * 127), b"new")  # 254 bytes


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anything")
def test_a_write_protected_file_stays(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.json"
    path.write_text("old")

    def pieces():
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, pieces())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_names_of_one_file_have_one_identity(data):
    # A small tree with links of all kinds; the truth is what the system says of open files.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a").mkdir()
        for name in ("x", "a/x", "a/y"):
            (root / name).write_text(name)
        (root / "soft").symlink_to("a/x")
        (root / "b").symlink_to("a")
        os.link(root / "x", root / "a" / "hard")
        names = ["x", "a/x", "a/y", "soft", "b/x", "b/../x", "a/../b/y", "a/hard", "b/./hard"]
        one, other = (root / data.draw(st.sampled_from(names)) for _ in range(2))
        assert (identity(one) == identity(other)) == one.samefile(other)
        # Files that are not there yet: known by folder and name.
        new, same = root / "b" / "new", root / "a" / "new"
        assert identity(new) == identity(same) == identity(root / "a" / ".." / "a" / "new")
        assert identity(new) != identity(root / "new")
        assert identity(root / "no" / "such") == identity(root / "b" / ".." / "no" / "such")


def test_outputs_are_kept_apart(tmp_path):
    path, folder = tmp_path / "x.json", tmp_path / "out"
    path.write_text("{}")
    (tmp_path / "soft").symlink_to(path)
    os.link(path, tmp_path / "hard")
    for name in ("x.json", "soft", "hard", "out/../x.json"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(InputError) as refused:
            require_outputs([("--out", tmp_path / name)], [("INSTANCE", path)])
        assert str(refused.value) == (
            f"--out: expected another file than INSTANCE, found {tmp_path / name}"
        )
    new = tmp_path / "new.json"
    with pytest.raises(InputError, match=r"^--export: expected another file than --export, found"):
        require_outputs([("--export", new), ("--export", folder / ".." / "new.json")])
    require_outputs([("--out", new), ("--certificate", None)], [("INSTANCE", path)])
    assert not new.exists()


def test_a_folder_of_outputs_holds_no_input(tmp_path):
    out = tmp_path / "out"
    require_outputs_in("--out", out, ["report.html"], others=[("--export", out / "more.csv")])
    assert not out.exists()  # nothing is made yet
    with pytest.raises(InputError, match=r"^--export: expected another file than --out, found"):
        require_outputs_in("--out", out, ["t.csv"], others=[("--export", out / "t.csv")])
    out.mkdir()
    (out / "instance.json").write_text("{}")
    with pytest.raises(InputError, match=r"^--out: expected another file than INSTANCE, found"):
        require_outputs_in(
            "--out", out, ["instance.json"], inputs=[("INSTANCE", out / "instance.json")]
        )
    os.mkfifo(out / "report.html")
    with pytest.raises(InputError, match="expected a file to write, found a named pipe"):
        require_outputs_in("--out", out, ["report.html"])


def test_the_file_that_is_written_is_the_one_that_is_checked(tmp_path):
    (tmp_path / "link").symlink_to("real")
    assert output_target(tmp_path / "link") == tmp_path.resolve() / "real"
