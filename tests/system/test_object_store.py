"""Object stores: photos from there, finals to there, orders never. Against a real S3 server where one is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import requests

from photio_prep.errors import OutputExists, PhotoRefused, StorageFailed, UsageError
from photio_prep.intake import inputs
from photio_prep.system import object_store
from tests.support.photos import SCENE, cutout, encoded, photo

pytest.importorskip("fsspec", reason="the extra storage is not installed")
from typing import TYPE_CHECKING

import fsspec

if TYPE_CHECKING:
    from tests.support.commands import Command

S3 = all(importlib.util.find_spec(each) for each in ("s3fs", "moto", "flask"))
RUN = ["-d", SCENE, "--sandbox"]


def memory() -> str:
    """A store in this process's memory, empty."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return "memory://bucket"


def s3(patch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    """A real S3 over HTTP on loopback, with one bucket; addresses without it go nowhere."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server._server.server_port if server._server else 0
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIACANARY",
        "AWS_SECRET_ACCESS_KEY": "s3cret-canary",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        patch.setenv(name, value)
    try:
        requests.post(f"http://127.0.0.1:{port}/moto-api/reset", timeout=10)  # it remembers earlier tests
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        yield "s3://bucket"
    finally:
        server.stop()


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.skipif(not S3, reason="no s3fs, no moto"))])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "memory":
        yield memory()
    else:
        yield from s3(monkeypatch)


def filled(bucket: str) -> str:
    store, path = fsspec.core.url_to_fs(bucket)
    store.pipe_file(f"{path}/in/a.png", encoded(cutout()))
    store.pipe_file(f"{path}/in/x/b.png", encoded(photo(shade=150, cut_out=True)))
    for other in ("note.txt", ".hidden.png", "old-photio.png"):
        store.pipe_file(f"{path}/in/{other}", b"x")
    return bucket


def there(bucket: str) -> dict[str, bytes]:
    store, path = fsspec.core.url_to_fs(bucket, skip_instance_cache=True)
    return {each.removeprefix(path).strip("/"): store.cat_file(each) for each in store.find(path)}


@pytest.mark.filterwarnings("ignore")  # of botocore and moto
def test_photos_come_from_a_store_and_finals_go_there(bucket: str, command: Command):
    filled(bucket)
    said = command("run", f"{bucket}/in/", *RUN, "--to", f"{bucket}/out", "--json")
    assert said.code == 0, said.err
    assert {each["source"] for each in said.facts} == {f"{bucket}/in/a.png", f"{bucket}/in/x/b.png"}
    found = there(f"{bucket}/out")
    assert set(found) == {"a-photio.png", "x/b-photio.png"}
    for name, data in found.items():
        assert (Path("photio-out") / name).read_bytes() == data
    again = command("run", f"{bucket}/in/a.png", *RUN, "--to", f"{bucket}/out", "--json")
    assert (again.code, again.facts[0]["order"]) == (
        0,
        next(e["order"] for e in said.facts if e["source"].endswith("a.png")),
    )
    assert "canary" not in said.out + said.err + again.err


@pytest.mark.filterwarnings("ignore")
def test_a_file_of_somebody_else_in_the_store_is_not_replaced(bucket: str, command: Command):
    store, path = fsspec.core.url_to_fs(filled(bucket))
    store.pipe_file(f"{path}/out/a-photio.png", b"theirs")
    said = command("run", f"{bucket}/in/a.png", *RUN, "--to", f"{bucket}/out")
    assert (said.code, "another file exists already" in said.err) == (3, True)
    assert there(f"{bucket}/out") == {"a-photio.png": b"theirs"}
    assert command("finish", "photio-out", "--to", f"{bucket}/out", "--overwrite").code == 0
    assert there(f"{bucket}/out") == {"a-photio.png": Path("photio-out/a-photio.png").read_bytes()}


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_there_or_too_long_is_refused(bucket: str):
    filled(bucket)
    with pytest.raises(PhotoRefused, match="cannot be read"):
        object_store.read_object(f"{bucket}/in/nothing.png", 100)
    with pytest.raises(PhotoRefused, match="the limit is"):
        object_store.read_object(f"{bucket}/in/a.png", 100)
    assert object_store.read_object(f"{bucket}/in/a.png", len(encoded(cutout()))) == encoded(cutout())


@pytest.mark.skipif(not S3, reason="no s3fs, no moto")
@pytest.mark.filterwarnings("ignore")
def test_a_store_that_fails_says_nothing_of_its_credentials(monkeypatch: pytest.MonkeyPatch):
    stores = s3(monkeypatch)
    bucket = next(stores)
    try:
        with pytest.raises(StorageFailed) as caught:
            object_store.put_object(bucket.replace("bucket", "nobody-has-this"), "a.png", b"x")
        assert "canary" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}".lower()
    finally:
        stores.close()


def test_a_table_may_name_photos_in_a_store(command: Command):
    bucket = filled(memory())
    Path("jobs.csv").write_text(f"source,output\n{bucket}/in/a.png,one\n")
    assert command("run", "jobs.csv", *RUN).lines == ["photio-out/one-photio.png"]


def test_offline_fetches_nothing_from_a_store(command: Command):
    said = command("run", f"{filled(memory())}/in/a.png", *RUN, "--offline")
    assert (said.code, "--offline forbids that" in said.err) == (3, True)


@pytest.mark.parametrize("out", ["s3://bucket/out", "memory://bucket", "gs://x", "file:///tmp/x"])
def test_orders_never_lie_in_a_store(command: Command, out: str):
    said = command("run", "a.png", *RUN, "-o", out)
    assert (said.code, "their claims, which prevent a second payment" in said.err) == (2, True), said.err


@pytest.mark.parametrize(
    "name",
    ["file:///etc/passwd", "local:///etc/passwd", "filecache::s3://b/a.png", "s3://b/a.png::file:///x", "ftp://h/a.png",
     "sftp://h/a.png", "zip://a.png", "github://a:b@c/d", "S3://", "s3:///a.png", "http://h/a.png"],
)  # fmt: skip
def test_nothing_but_stores_is_opened(name: str):
    assert not object_store.is_remote(name)
    with pytest.raises(UsageError):
        object_store.read_object(name, 100)


def test_an_empty_place_is_told():
    told: list[str] = []
    items = inputs.expand_inputs((f"{memory()}/in/",), Path("out"), passed_over=lambda why, _: told.append(why.problem))
    assert (list(items), told) == ([], ["no photos there"])


def test_without_its_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"photio-prep\[storage\]"):
        object_store.read_object("s3://bucket/a.png", 100)


def test_the_same_bytes_are_put_once_and_others_not_over_them():
    bucket = memory()
    assert (
        object_store.put_object(bucket, "x/a.png", b"1")
        == object_store.put_object(bucket, "x/a.png", b"1")
        == f"{bucket}/x/a.png"
    )
    with pytest.raises(OutputExists):
        object_store.put_object(bucket, "x/a.png", b"2")
    object_store.put_object(bucket, "x/a.png", b"2", overwrite=True)
    assert there(bucket) == {"x/a.png": b"2"}
