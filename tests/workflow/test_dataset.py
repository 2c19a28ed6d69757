"""From PDB ids to a dataset through Snakemake, with a server on this machine; and what a change reruns."""

import json
import shutil
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

DATASET = "results/dataset/chains"


@pytest.fixture
def site(tmp_path_factory):
    """A folder that is served, and how often each file was asked for."""
    folder, asked = tmp_path_factory.mktemp("site"), Counter()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words, **named):
            super().__init__(*words, directory=str(folder), **named)

        def do_GET(self):
            asked[self.path.lstrip("/")] += 1
            super().do_GET()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, asked, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_ids_become_a_dataset_and_a_stopped_download_goes_on(workflow, site, chains_dir):
    folder, asked, address = site
    shutil.copy(chains_dir / "17ra_A.pdb.gz", folder / "17ra.pdb.gz")
    (workflow.folder / "ids.txt").write_text("17ra\n1F1T\n")
    keys = {"ids": "ids.txt", "base_url": address, "ending": ".pdb.gz", "min_length": 20}
    workflow.configure(dataset=keys)
    text = workflow.run("--cores", "2", DATASET, code=1)
    log = (workflow.folder / "results/logs/download_structures.log").read_text()
    assert f"1f1t: failed: {address}/1f1t.pdb.gz: 404" in log
    assert "download_structures" in text
    assert not (workflow.folder / DATASET).exists()

    shutil.copy(chains_dir / "1f1t_A.pdb.gz", folder / "1f1t.pdb.gz")
    workflow.run("--cores", "2", DATASET)
    assert asked == {"17ra.pdb.gz": 1, "1f1t.pdb.gz": 2}
    manifest = json.loads((workflow.folder / DATASET / "dataset.json").read_text())
    assert (manifest["chains"], manifest["files"], manifest["refused"]) == (2, 2, {})


def test_a_changed_file_table_or_setting_builds_again_and_nothing_else_does(workflow):
    package = workflow.folder / "rna_predict"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "0.1.0"\n')
    (package / "__main__.py").write_text(
        "import pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "folder.mkdir()\n"
        "(folder / 'dataset.json').write_text(' '.join(sys.argv[1:]))\n"
    )
    structures = workflow.folder / "structures" / "deep"
    structures.mkdir(parents=True)
    (structures / "a.pdb").write_text("x")
    (workflow.folder / "index.csv").write_text("id,c\n")
    keys = {"structures": "structures", "index": "index.csv", "cluster_column": "c", "test_from": "2020-01-01"}
    workflow.configure(dataset=keys)
    workflow.run("--cores", "2", DATASET)
    assert (workflow.folder / DATASET / "dataset.json").read_text() == (
        f"dataset build structures --out {DATASET} --processes 2 --index=index.csv --cluster-column=c"
        " --test-from=2020-01-01"
    )
    assert workflow.planned(DATASET) == {}
    workflow.configure(dataset=keys | {"identity": 0.9})
    assert workflow.planned(DATASET) == {"build_dataset": 1}
    workflow.configure(dataset=keys)
    (structures / "a.pdb").write_text("another")
    assert workflow.planned(DATASET) == {"build_dataset": 1}


def test_without_its_keys_the_rule_says_what_to_set(workflow):
    assert "dataset: structures: not set" in workflow.run("-n", DATASET, code=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"ids": "x"},
        {"structures": "x", "ids": "y", "base_url": "http://z"},
        {"ids": "x", "base_url": "file:///etc"},
        {"structures": "x", "identty": 0.9},
        {"structures": "x", "identity": 0.1},
        {"structures": "x", "test_from": "soon"},
    ],
)
def test_wrong_keys_are_refused_before_anything_runs(root, wrong):
    config = yaml.safe_load((root / "config" / "config.yaml").read_text()) | {"dataset": wrong}
    with pytest.raises(WorkflowError):
        validate(config, str(root / "workflow" / "schemas" / "config.schema.yaml"))
    good = config | {"dataset": {"structures": "x", "identity": 0.9, "test_from": "2020-01-01"}}
    validate(good, str(root / "workflow" / "schemas" / "config.schema.yaml"))
