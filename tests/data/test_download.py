"""Downloads from a server of the test's own: resumed, checked, retried, and each failure named."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rna_predict.data.download import Server, download_structures, read_pdb_ids, write_list
from rna_predict.data.sources import find_sources
from rna_predict.errors import ConfigError, InputError

WHOLE = b"data_1ABC\nloop_\n_atom_site.id\n1\n"


@dataclass
class Site:
    """A server on this machine: content by path, and how often each was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    busy: dict[str, int] = field(default_factory=dict)
    """Answers 503 that a path gives first."""
    slow: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)

    def server(self, **changes) -> Server:
        return Server(base_url=self.address, pause=0.0, **changes)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            found.asked[name] += 1
            if name in found.slow:
                time.sleep(1.0)
            status = 503 if found.asked[name] <= found.busy.get(name, 0) else 200 if name in found.files else 404
            body = found.files.get(name, b"nothing here")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + (50 if name in found.cut else 0)))
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


def test_files_arrive_and_those_that_are_there_are_not_asked_for_again(site, tmp_path):
    site.files = {"1abc.cif.gz": gzip.compress(WHOLE), "2xyz.cif.gz": gzip.compress(WHOLE * 2)}
    first = download_structures(["1abc", "2xyz"], tmp_path, site.server())
    assert [(one.id, one.status) for one in first] == [("1abc", "fetched"), ("2xyz", "fetched")]
    assert gzip.decompress((tmp_path / "2xyz.cif.gz").read_bytes()) == WHOLE * 2
    (tmp_path / "2xyz.cif.gz").unlink()
    again = download_structures(["1abc", "2xyz"], tmp_path, site.server())
    assert [one.status for one in again] == ["kept", "fetched"]
    assert site.asked == {"1abc.cif.gz": 1, "2xyz.cif.gz": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1abc.cif.gz", "2xyz.cif.gz"]


def test_a_failure_is_named_and_stops_no_other(site, tmp_path):
    site.files = {"1abc.cif": WHOLE, "2cut.cif": WHOLE, "3htm.cif": b"<html>sorry</html>", "4emp.cif": b"data_x\n"}
    site.cut = {"2cut.cif"}
    ids = ["0nop", "2cut", "3htm", "4emp", "1abc"]
    results = {one.id: one for one in download_structures(ids, tmp_path, site.server(ending=".cif", tries=2))}
    assert [results[id].status for id in ids] == ["failed"] * 4 + ["fetched"]
    assert results["0nop"].reason == f"{site.address}/0nop.cif: 404 Not Found"
    assert "no structure file; begins with b'<html>" in results["3htm"].reason
    assert "mmCIF without atoms" in results["4emp"].reason
    assert "2cut.cif" in results["2cut"].reason
    assert site.asked["0nop.cif"] == 1  # not there is not there
    assert site.asked["2cut.cif"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["1abc.cif"]


def test_a_busy_server_is_asked_again(site, tmp_path):
    site.files, site.busy = {"1abc.cif": WHOLE, "2bad.cif": WHOLE}, {"1abc.cif": 2, "2bad.cif": 9}
    results = download_structures(["1abc", "2bad"], tmp_path, site.server(ending=".cif"))
    assert [one.status for one in results] == ["fetched", "failed"]
    assert "503" in results[1].reason
    assert site.asked == {"1abc.cif": 3, "2bad.cif": 3}


def test_a_server_that_does_not_answer_is_left_after_the_timeout(site, tmp_path):
    site.files, site.slow = {"1abc.cif": WHOLE}, {"1abc.cif"}
    begin = time.monotonic()
    (result,) = download_structures(["1abc"], tmp_path, site.server(ending=".cif", timeout=0.2, tries=1))
    assert result.status == "failed"
    assert "timed out" in result.reason
    assert time.monotonic() - begin < 0.9
    (gone,) = download_structures(["1abc"], tmp_path, Server(base_url="http://127.0.0.1:9", tries=1))
    assert (gone.status, "refused" in gone.reason) == ("failed", True)


def test_a_damaged_or_half_file_that_is_there_is_fetched_again(site, tmp_path):
    whole = gzip.compress(WHOLE)
    site.files = {"1abc.cif.gz": whole}
    (tmp_path / "1abc.cif.gz").write_bytes(whole[:-6])
    (result,) = download_structures(["1abc"], tmp_path, site.server())
    assert result.status == "fetched"
    assert (tmp_path / "1abc.cif.gz").read_bytes() == whole


def test_a_file_that_is_too_large_sent_or_unpacked_is_refused(site, tmp_path):
    site.files = {"1abc.cif": WHOLE * 9, "2bom.cif": gzip.compress(WHOLE * 9)}
    results = download_structures(["1abc", "2bom"], tmp_path, site.server(ending=".cif", max_bytes=200, tries=1))
    assert ["more than 200 bytes" in one.reason for one in results] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_the_list_leads_the_build_to_the_files(site, tmp_path):
    site.files = {"1abc.cif": WHOLE}
    results = download_structures(["0nop", "1abc"], tmp_path / "store", site.server(ending=".cif"))
    (tmp_path / "lists").mkdir()
    write_list(tmp_path / "lists" / "files.txt", results)
    assert (tmp_path / "lists" / "files.txt").read_text() == "../store/1abc.cif\n"
    (path,) = find_sources(tmp_path / "lists" / "files.txt").files
    assert path.resolve() == (tmp_path / "store" / "1abc.cif").resolve()


def test_ids_are_lower_case_and_each_once(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("# mine\n1EHZ\n\n 4tna \r\n1ehz\npdb_00001abc\n")
    assert read_pdb_ids(path) == ["1ehz", "4tna", "pdb_00001abc"]


@pytest.mark.parametrize("line", ["../../x", "1ehz;touch P", "$(touch P)", "1ehz_A", "ehz1", "1eh", "http://x/1ehz"])
def test_what_is_no_id_is_named_by_line(tmp_path, line):
    path = tmp_path / "ids.txt"
    path.write_text(f"4tna\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_pdb_ids(path)


def test_a_list_without_ids_is_refused(tmp_path):
    (tmp_path / "ids.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="no PDB ids"):
        read_pdb_ids(tmp_path / "ids.txt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "file:///etc"},
        {"base_url": "ftp://x/y"},
        {"base_url": "files.example.org"},
        {"base_url": "http://x", "ending": ".exe"},
        {"base_url": "http://x", "tries": 0},
        {"base_url": "http://x", "timeout": 0},
    ],
)
def test_a_server_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError):
        Server(**wrong)
