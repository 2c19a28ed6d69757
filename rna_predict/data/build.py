"""Build a dataset from structure files: read, measure, cluster, split, and write it whole or not at all."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.data.chains import Chain
from rna_predict.data.clusters import greedy_clusters
from rna_predict.data.dataset import MANIFEST, REFUSED, Manifest, dataset_digest
from rna_predict.data.entries import Limits, Reading, Refusal, SourceFile, read_group
from rna_predict.data.sources import Index, Sources
from rna_predict.data.splits import Member, SplitSettings, split_members, write_splits
from rna_predict.data.table import Spool, check_lancedb, create_table
from rna_predict.data.whole_folder import whole_folder
from rna_predict.errors import ConfigError, InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How a dataset is built."""

    limits: Limits = field(default_factory=Limits)
    split: SplitSettings = field(default_factory=SplitSettings)
    identity: float = 0.8
    """Sequences that share this much of the shorter one cluster; not used where the index has clusters."""
    processes: int = 1
    """Files are read by this many processes; changes nothing but the time."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an identity or number of processes that means nothing."""
        if not 0.5 <= self.identity <= 1:
            raise ConfigError(f"identity: {self.identity} is not from 0.5 to 1; below, unrelated RNAs are alike.")
        if self.processes < 1:
            raise ConfigError(f"processes: {self.processes}; at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build made: the manifest, all refusals, and the split of each id."""

    manifest: Manifest
    refusals: list[Refusal]
    split_of: dict[str, str]


def build_dataset(
    sources: Sources,
    out: Path,
    settings: BuildSettings,
    index: Index | None = None,
    advance: Callable[[str], None] = lambda name: None,
) -> BuildReport:
    """Build the dataset `out`; what is there is replaced only when the new one is complete.

    Args:
        sources: the files.
        out: a new folder, or an older dataset.
        settings: how.
        index: clusters, splits and what files do not say, by chain id.
        advance: is told each entry when it has been read.

    Raises:
        InputError: no chain could be taken, or `out` cannot be written.
        ConfigError: lancedb is not installed.
    """
    check_lancedb()
    index = index or Index()
    with whole_folder(out, MANIFEST) as folder:
        spool = Spool(folder / "spool.arrow")
        try:
            kept, refusals = _collect(sources, settings, index, _Outlets(keep=spool.add, advance=advance))
        finally:
            spool.close()
        if not kept:
            reasons = ", ".join(f"{kind} {n}" for kind, n in _counts(refusals).items())
            first = f" First: {refusals[0].source}: {refusals[0].reason}" if refusals else ""
            raise InputError(f"{sources.root}: no chain could be taken ({reasons}).{first}")
        clusters = _clusters(kept, settings.identity, index)
        members = [_member(chain, cluster, index) for chain, cluster in zip(kept, clusters, strict=True)]
        split_of = split_members(members, settings.split)
        create_table(folder, spool.batches(clusters))
        spool.remove()
        write_splits(folder, members, split_of)
        _write_refusals(folder, refusals)
        manifest = Manifest(
            digest=dataset_digest([(chain.digest, cluster) for chain, cluster in zip(kept, clusters, strict=True)]),
            chains=len(kept),
            residues=sum(len(chain.sequence) for chain in kept),
            clusters=len(set(clusters)),
            files=len(sources.files),
            refused=_counts(refusals),
            settings=_stated(settings, index),
            package_version=__version__,
        )
        manifest.save(folder)
    return BuildReport(manifest=manifest, refusals=refusals, split_of=split_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What of a taken chain is needed once its arrays are on disk."""

    id: str
    sequence: str
    digest: str
    source: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlets:
    """Where chains go, and who is told of each entry that has been read."""

    keep: Callable[[Chain], None]
    advance: Callable[[str], None]


def _collect(
    sources: Sources, settings: BuildSettings, index: Index, outlets: _Outlets
) -> tuple[list[_Kept], list[Refusal]]:
    """All chains in the order of their files, copies refused, and all refusals."""
    reason = "the name does not end as a structure file's does"
    refusals = [Refusal(source=sources.name(p), chain="", kind="other_file", reason=reason) for p in sources.others]
    kept: list[_Kept] = []
    first: dict[str, _Kept] = {}
    for reading in _readings(_groups(sources, index), settings, index, outlets.advance):
        refusals.extend(reading.refusals)
        for chain in reading.chains:
            refusal = _why_not(chain, first, index)
            if refusal:
                refusals.append(refusal)
                continue
            outlets.keep(chain)
            origin = chain.origin
            kept.append(
                _Kept(
                    id=chain.id,
                    sequence=chain.sequence,
                    digest=chain.digest(),
                    source=origin.source,
                    date=origin.date,
                )
            )
            first[chain.id] = first[chain.content_digest()] = kept[-1]
    return kept, refusals + _never_found(kept, refusals, index)


def _groups(sources: Sources, index: Index) -> list[list[SourceFile]]:
    """Files of one entry together, as far as the index knows entries; in the order of each group's first file."""
    groups: dict[str, list[SourceFile]] = {}
    for path in sources.files:
        row = index.rows.get(path.name.split(".")[0])
        key = f"entry {row.entry}" if row and row.entry else f"file {path}"
        groups.setdefault(key, []).append(SourceFile(path=path, name=sources.name(path)))
    return list(groups.values())


def _readings(
    groups: Sequence[Sequence[SourceFile]], settings: BuildSettings, index: Index, advance: Callable[[str], None]
) -> Iterator[Reading]:
    """What becomes of each group, in order whichever process reads it."""
    read = partial(read_group, index=index.rows, limits=settings.limits)
    if settings.processes == 1:
        for group in groups:
            yield read(group)
            advance(group[0].name)
        return
    try:
        with ProcessPoolExecutor(settings.processes) as pool:
            for group, reading in zip(groups, pool.map(read, groups, chunksize=4), strict=True):
                yield reading
                advance(group[0].name)
    except BrokenProcessPool as error:
        raise InputError(
            "a process that read structures was killed, perhaps for lack of memory. Use fewer --processes."
        ) from error


def _why_not(chain: Chain, first: Mapping[str, _Kept], index: Index) -> Refusal | None:
    """Why a chain that could be read is not taken."""
    copy = first.get(chain.content_digest())
    if chain.id in first:
        kind, reason = "duplicate_id", f"the id {chain.id} is taken by {first[chain.id].source}"
    elif copy is not None:
        kind, reason = "duplicate", f"the same letters, numbers and coordinates as {copy.id} in {copy.source}"
    elif index.has_clusters and chain.id not in index.rows:
        kind, reason = "not_in_index", f"the index has no cluster for {chain.id}"
    else:
        return None
    return Refusal(source=chain.origin.source, chain=chain.origin.chain, kind=kind, reason=reason)


def _never_found(kept: Sequence[_Kept], refusals: Sequence[Refusal], index: Index) -> list[Refusal]:
    """Ids of the index that no file had."""
    seen = {chain.id for chain in kept}
    for refusal in refusals:
        stem = Path(refusal.source).name.split(".")[0]
        seen |= {stem, f"{stem}_{refusal.chain}"}
    reason = "the index names this chain, and no file holds it"
    return [Refusal(source="", chain=id, kind="no_file", reason=reason) for id in index.rows if id not in seen]


def _clusters(kept: Sequence[_Kept], identity: float, index: Index) -> list[str]:
    """The cluster of each chain: the index's, or named after the first of its longest chains."""
    if index.has_clusters:
        return [index.rows[chain.id].cluster for chain in kept]
    numbers = greedy_clusters([chain.sequence for chain in kept], identity)
    names: dict[int, str] = {}
    for number, chain in sorted(zip(numbers, kept, strict=True), key=lambda pair: (-len(pair[1].sequence), pair[1].id)):
        names.setdefault(number, chain.id)
    return [names[number] for number in numbers]


def _member(chain: _Kept, cluster: str, index: Index) -> Member:
    row = index.rows.get(chain.id)
    return Member(id=chain.id, cluster=cluster, date=chain.date, assigned=row.split if row is not None else "")


def _counts(refusals: Sequence[Refusal]) -> dict[str, int]:
    return dict(sorted(Counter(refusal.kind for refusal in refusals).items()))


def _write_refusals(folder: Path, refusals: Sequence[Refusal]) -> None:
    columns = ("source", "chain", "kind", "reason")
    rows = [[" ".join(str(getattr(refusal, name)).split()) for name in columns] for refusal in refusals]
    with atomic_path(folder / REFUSED) as temporary:
        temporary.write_text("\n".join("\t".join(row) for row in [columns, *rows]) + "\n", encoding="utf-8")


def _stated(settings: BuildSettings, index: Index) -> dict[str, object]:
    """The settings that the content hangs on, for the manifest."""
    clusters = "from the index" if index.has_clusters else f"identity {settings.identity:g}"
    return {"limits": asdict(settings.limits), "clusters": clusters}
