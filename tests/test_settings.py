"""What the user set: flags, then the environment, then photio.toml; nothing that cannot be meant gets through."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.errors import KeyRefused, UsageError
from photio_prep.system import environment
from photio_prep.system.deadline import Timeouts

KEY = "pt-canary-5c1e77b0a9d4"
Write = Callable[[str], None]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """An empty environment; writes photio.toml."""
    for name in list(os.environ):
        if name.startswith("PHOTIO_"):
            monkeypatch.delenv(name)
    path = tmp_path / "photio.toml"
    monkeypatch.setattr(settings, "config_file", lambda: path)
    settings._file.cache_clear()

    def write(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        settings._file.cache_clear()

    yield write
    settings._file.cache_clear()


def test_without_any_setting(configured: Write) -> None:
    assert settings.api_url(None, "https://default.example") == "https://default.example"
    assert settings.proxy() is None
    assert settings.ca_bundle() is None
    assert settings.timeouts() == Timeouts()
    assert settings.models_folder().name == "models"


def test_the_flag_comes_before_the_environment_before_the_file(
    configured: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured('api_url = "https://file.example"\nproxy = "http://file:1"\nca_bundle = "/file.pem"\n')
    assert settings.api_url(None, "https://default.example") == "https://file.example"
    assert (settings.proxy(), settings.ca_bundle()) == ("http://file:1", "/file.pem")
    monkeypatch.setenv("PHOTIO_API_URL", "https://environment.example")
    monkeypatch.setenv("PHOTIO_PROXY", "http://environment:1")
    monkeypatch.setenv("PHOTIO_CA_BUNDLE", "/environment.pem")
    assert settings.api_url(None, "") == "https://environment.example"
    assert (settings.proxy(), settings.ca_bundle()) == ("http://environment:1", "/environment.pem")
    assert settings.api_url("https://flag.example", "") == "https://flag.example"


def test_the_environment_of_others_is_not_ours(configured: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "http://other.example")
    assert settings.proxy() is None
    assert settings.ca_bundle() is None


def test_the_models_folder(configured: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "weights"))
    assert settings.models_folder() == tmp_path / "weights"
    monkeypatch.setenv("PHOTIO_MODELS", "")
    assert settings.models_folder() != Path()


def test_the_configuration_never_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photio.toml").write_text('api_url = "https://evil.example"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert settings.config_file().is_absolute()
    assert settings.config_file().parent != tmp_path


# --- photio.toml -----------------------------------------------------------------------------------------------------


def test_time_outs(configured: Write) -> None:
    configured("[timeouts]\nconnect = 5\nread = 0.5\n")
    assert settings.timeouts() == Timeouts(connect=5, read=0.5)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e12", "true", '"5"', "[5]", "1979-05-27"])
@pytest.mark.parametrize("name", ["connect", "write", "read", "overall"])
def test_a_time_out_that_cannot_be_meant(configured: Write, name: str, value: str) -> None:
    configured(f"[timeouts]\n{name} = {value}\n")
    with pytest.raises(UsageError, match=name):
        settings.timeouts()


@pytest.mark.parametrize(
    "text",
    [
        "[timeouts]\nconect = 5\n",
        "timeouts = 5\n",
        "[timeout]\nconnect = 5\n",
        'key = "pt-canary-5c1e77b0a9d4"\n',
        'api_urls = "https://a.example"\n',
        "api_url = ",
        "api_url = 'a'\napi_url = 'b'\n",
        "\0",
    ],
)
def test_a_file_that_says_nothing_we_know(configured: Write, tmp_path: Path, text: str) -> None:
    configured(text)
    with pytest.raises(UsageError) as caught:
        settings.timeouts()
    assert str(tmp_path / "photio.toml") in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("value", ["5", "true", "['https://a.example']"])
def test_an_address_that_is_no_text(configured: Write, value: str) -> None:
    configured(f"api_url = {value}\n")
    with pytest.raises(UsageError, match="api_url"):
        settings.api_url(None, "")


def test_a_file_that_is_no_utf_8(configured: Write, tmp_path: Path) -> None:
    (tmp_path / "photio.toml").write_bytes(b'api_url = "\xff"')
    with pytest.raises(UsageError, match="cannot be read"):
        settings.proxy()


def test_a_folder_in_its_place(configured: Write, tmp_path: Path) -> None:
    (tmp_path / "photio.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        settings.proxy()


def test_the_vendors_word_on_server_errors(configured: Write) -> None:
    assert settings.server_error_is_free() is False
    configured("[billing]\nserver_error_is_free = true\n")
    assert settings.server_error_is_free() is True
    configured('[billing]\nserver_error_is_free = "yes"\n')
    with pytest.raises(UsageError, match="server_error_is_free"):
        settings.server_error_is_free()


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


def test_the_key_from_the_environment(configured: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    assert credentials.load_key().reveal() == KEY


def test_no_key(configured: Write) -> None:
    with pytest.raises(KeyRefused, match="PHOTIO_API_KEY"):
        credentials.load_key()


def test_an_empty_key(configured: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_API_KEY", "")
    with pytest.raises(KeyRefused, match="empty"):
        credentials.load_key()


def test_the_key_from_a_file_comes_before_the_environment(
    configured: Write, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTIO_API_KEY", "pt-another-key")
    assert credentials.load_key(key_file).reveal() == KEY


def test_the_key_from_standard_input(configured: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{KEY}\nmore\n".encode())))
    assert credentials.load_key(from_stdin=True).reveal() == KEY
    with pytest.raises(KeyRefused):
        credentials.load_key(from_stdin=True)  # the second line is no key


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o610, 0o777])
def test_a_file_that_others_may_use_is_refused(configured: Write, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeyRefused, match="chmod 600") as caught:
        credentials.load_key(key_file)
    assert KEY not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_ones_own_is_read(configured: Write, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    assert credentials.load_key(key_file).reveal() == KEY


def test_a_key_file_that_is_none(
    configured: Write, tmp_path: Path, must_end: Callable[[Callable[[], object]], None]
) -> None:
    def refused(path: Path) -> None:
        with pytest.raises(KeyRefused) as caught:
            credentials.load_key(path)
        assert str(path) in str(caught.value)

    refused(tmp_path / "none")
    refused(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo", 0o600)
        must_end(lambda: refused(tmp_path / "fifo"))
        must_end(lambda: refused(Path("/dev/null")))


@pytest.mark.parametrize("text", [b"", b"\n", b"\xff\xfe", b"pt-a key", b"x" * 5000])
def test_a_key_file_without_a_key(configured: Write, key_file: Path, text: bytes) -> None:
    key_file.write_bytes(text)
    with pytest.raises(KeyRefused):
        credentials.load_key(key_file)


@pytest.mark.parametrize(("told", "threads"), [("", 0), ("1", 1), ("16", 16), ("4,2", 0), ("-1", 0), ("many", 0)])
def test_a_network_uses_as_many_threads_as_the_scheduler_says(
    monkeypatch: pytest.MonkeyPatch, told: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert environment.thread_limit() == threads
