"""Which RNAs were asked for: Kaggle's sequences table, the workflow's sample sheet, or FASTA."""

import csv
import io
from pathlib import Path

from rna_predict.contracts import RnaSequence
from rna_predict.errors import InputError
from rna_predict.formats.fasta import FastaOptions, read_fasta
from rna_predict.formats.normalise import checked_sequence
from rna_predict.formats.reading import Notice, read_text

ID_COLUMNS = ("target_id", "id")


def read_target_table(path: Path, ambiguous: str = "refuse") -> tuple[list[RnaSequence], list[Notice]]:
    """The RNAs of a file in its order, every one usable, and what was converted.

    Args:
        path: comma- or tab-separated with the columns target_id or id, and sequence; or FASTA; gzip or not.
        ambiguous: `refuse` IUPAC letters such as N, or `map` them.

    Raises:
        InputError: a column is missing, an id stands twice, or a sequence cannot be used; with the line and remedy.
    """
    text = read_text(path)
    start = next((line for line in text.splitlines() if line.strip() and line[0] not in "#;"), "")
    if start.startswith(">"):
        content = read_fasta(path, FastaOptions(ambiguous=ambiguous))
        for failure in content.failures:
            raise InputError(f"{path}: line {failure.line}: {failure.id}: {failure.reason}")
        return content.records, content.notices
    if "\t" in start:
        text = "\n".join("" if line.startswith("#") else line for line in text.splitlines())
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in start else ",")
    columns = reader.fieldnames or []
    name = next((column for column in ID_COLUMNS if column in columns), None)
    if name is None or "sequence" not in columns:
        raise InputError(
            f"{path}: columns {', '.join(columns) or 'none'}; expected {' or '.join(ID_COLUMNS)}, and sequence. Give a "
            "table with these, or FASTA."
        )
    records: dict[str, RnaSequence] = {}
    notices: list[Notice] = []
    for row in reader:
        try:
            record, found = checked_sequence((row[name] or "").strip(), row["sequence"] or "", ambiguous)
        except InputError as error:
            raise InputError(f"{path}: line {reader.line_num}: {name} {row[name]}: {error}") from error
        if record.id in records:
            raise InputError(f"{path}: line {reader.line_num}: {name} {record.id} stands twice. Remove one.")
        records[record.id] = record
        notices += found
    if not records:
        raise InputError(f"{path}: holds no sequence below its header. Give at least one.")
    return list(records.values()), notices
