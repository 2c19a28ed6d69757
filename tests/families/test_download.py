"""Seeds from a server of the test's own: whole or not at all, and each failure says why and how to go on."""

import gzip
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rna_predict.errors import ConfigError, InputError
from rna_predict.families.download import CURRENT, DownloadSettings, download_seeds
from rna_predict.families.seeds import read_seeds


@dataclass
class Site:
    """A server on this machine."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    """Answers 503 that come first."""
    cut: bool = False

    def settings(self, name: str = "Rfam.seed.gz", **changes) -> DownloadSettings:
        return DownloadSettings(url=f"{self.address}/{name}", **({"pause": 0.0} | changes))


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            found.asked[name] += 1
            status = 503 if found.asked[name] <= found.busy else 200 if name in found.files else 404
            body = found.files.get(name, b"nothing here")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + 50 * found.cut))
            self.send_header("Last-Modified", "Tue, 01 Jul 2025 10:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_seeds_arrive_with_size_and_hash_and_can_be_built_from(site, seeds_file, tmp_path):
    packed = gzip.compress(seeds_file.read_bytes())
    site.files = {"Rfam.seed.gz": packed}
    fetched = download_seeds(tmp_path / "seeds" / "Rfam.seed.gz", site.settings())
    assert (fetched.bytes, fetched.sha256) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert fetched.modified == "Tue, 01 Jul 2025 10:00:00 GMT"
    assert [seed.accession for seed in read_seeds(fetched.path)] == ["RF90002", "RF90001"]


def test_a_busy_server_is_asked_again(site, seeds_file, tmp_path):
    site.files, site.busy = {"Rfam.seed.gz": gzip.compress(seeds_file.read_bytes())}, 2
    download_seeds(tmp_path / "x.gz", site.settings(tries=3))
    assert site.asked == {"Rfam.seed.gz": 3}
    site.asked.clear()
    with pytest.raises(InputError, match="503"):
        download_seeds(tmp_path / "y.gz", site.settings(tries=2))
    assert not (tmp_path / "y.gz").exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"<html>sorry</html>", "no Stockholm file; it begins with b'<html>sorry</h"),
        (gzip.compress(b">a\nGGG\n"), "no Stockholm file"),
        (b"\x1f\x8bxx", "a damaged gzip file"),
    ],
)
def test_what_is_no_seed_file_is_refused(site, tmp_path, content, fault):
    site.files = {"Rfam.seed.gz": content}
    with pytest.raises(InputError, match=fault):
        download_seeds(tmp_path / "x.gz", site.settings())
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_cut_short_or_too_large_is_refused(site, seeds_file, tmp_path):
    site.files = {"Rfam.seed.gz": seeds_file.read_bytes()}
    with pytest.raises(InputError, match="more than 100 bytes"):
        download_seeds(tmp_path / "x.gz", site.settings(max_bytes=100))
    site.cut = True
    with pytest.raises(InputError, match=r"Rfam\.seed\.gz"):
        download_seeds(tmp_path / "x.gz", site.settings(tries=2, timeout=5.0))
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_not_asked_for_twice(site, tmp_path):
    with pytest.raises(InputError, match="404 Not Found"):
        download_seeds(tmp_path / "x.gz", site.settings("other.gz"))
    assert site.asked == {"other.gz": 1}


def test_without_a_network_the_message_says_how_to_go_on(tmp_path):
    with pytest.raises(InputError, match=r"families build`; the library that the package carries needs no download"):
        download_seeds(tmp_path / "x.gz", DownloadSettings(url="http://127.0.0.1:9/x.gz", tries=1))


@pytest.mark.parametrize("wrong", [{"url": "file:///etc/passwd"}, {"url": "Rfam.seed"}, {"tries": 0}, {"timeout": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        DownloadSettings(**wrong)


def test_the_address_is_rfams_current_release():
    assert DownloadSettings().url == CURRENT
    assert CURRENT.startswith("https://")
