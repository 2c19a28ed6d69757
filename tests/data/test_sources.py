"""Which files are found in which order, and what an index may say."""

import pytest

from rna_predict.data.sources import find_sources, read_id_table, read_index
from rna_predict.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.cif", "a.pdb.gz", "sub/a.ent", "sub/deep/z.mmcif.gz", ".hidden/x.pdb", ".y.pdb", "read.me"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_a_folder_is_read_by_path_with_its_subfolders(folder):
    found = find_sources(folder)
    assert [found.name(path) for path in found.files] == ["a.pdb.gz", "b.cif", "sub/a.ent", "sub/deep/z.mmcif.gz"]
    assert [found.name(path) for path in found.others] == ["read.me"]


def test_a_list_names_files_beside_it_in_its_own_order(folder):
    (folder / "list.txt").write_text("# mine\nsub/a.ent\n\n b.cif \nsub/a.ent\n/else/where.pdb\nnosuch.cif\n")
    found = find_sources(folder / "list.txt")
    assert [found.name(path) for path in found.files] == ["sub/a.ent", "b.cif", "/else/where.pdb", "nosuch.cif"]


def test_one_structure_file_is_a_source_too(folder):
    found = find_sources(folder / "b.cif")
    assert [found.name(path) for path in found.files] == ["b.cif"]


def test_nothing_to_read_is_an_error(folder):
    (folder / "list.txt").write_text("# nothing\n")
    for source in (folder / "list.txt", folder / "nosuch"):
        with pytest.raises(InputError, match=source.name):
            find_sources(source)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no structure file"):
        find_sources(folder / "empty")


def test_an_index_says_what_files_do_not(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text("id,pdb_id,resolution,method,date,mine,part\na,1abc,1.5,X-RAY,2001-02-03,7,train\nb,,,,,8,test\n")
    index = read_index(path, "mine", "part")
    row = index.rows["a"]
    assert (row.entry, row.resolution, row.method, row.date) == ("1abc", 1.5, "X-RAY", "2001-02-03")
    assert (row.cluster, row.split) == ("7", "train")
    assert (index.rows["b"].entry, index.rows["b"].resolution, index.rows["b"].split) == ("", None, "test")
    assert index.has_clusters
    assert index.has_splits
    assert not read_index(path).has_clusters
    assert read_index(path).rows["a"].cluster == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name,mine,part\n", "no column 'id'"),
        ("id,part\na,train\n", "no column 'mine'"),
        ("id,mine,part\na,1,train\na,1,train\n", "line 3: id 'a' occurs twice"),
        ("id,mine,part\na,,train\n", "line 2: a column of id, mine, part is empty"),
        ("id,mine,part\na,1,dev\n", "part is 'dev'"),
        ("id,mine,part,resolution\na,1,train,high\n", "resolution is 'high'"),
        ("id,mine,part,date\na,1,train,3/4/2020\n", "date is '3/4/2020'"),
    ],
)
def test_a_wrong_index_is_named_by_line(tmp_path, text, named):
    path = tmp_path / "index.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=named):
        read_index(path, "mine", "part")


def test_a_table_of_ids_may_be_separated_by_commas_or_tabs(tmp_path):
    path = tmp_path / "ids"
    path.write_text("# comment\nid,sequence\na,ACGU\nb,\n")
    assert read_id_table(path) == {"a": "ACGU", "b": ""}
    path.write_text("length\tid\n3\ta\n")
    assert read_id_table(path) == {"a": ""}
    for wrong in ("name\na\n", "id\n", ""):
        path.write_text(wrong)
        with pytest.raises(InputError, match="column id"):
            read_id_table(path)
