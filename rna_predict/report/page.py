"""The page: one HTML file that holds everything, asks nothing of the network, and says what it leaves out.

The browser is told so as well: the content security policy forbids every request, and lets only the two scripts run
whose sha256 it names. What a user wrote (ids, reasons) stands in JSON blocks and is put on the page as text.
"""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rna_predict import __version__
from rna_predict.chemistry.residues import ATOMS
from rna_predict.chemistry.torsions import A_FORM_DEGREES, C3_ENDO_PHASE_DEGREES, TORSIONS
from rna_predict.errors import ConfigError, InputError
from rna_predict.report.details import DONE, FAILED, UNFINISHED, Entry
from rna_predict.report.model_details import APART, CLASHES_SHOWN, CONTACT, PAE_SIDE

STYLE = "page.css"
SCRIPTS = ("unpack.js", "table.js", "plots.js", "viewer.js", "panel.js", "page.js")
VIEWER = "3Dmol-min.js"
VIEWER_LICENCE = "3Dmol-LICENSE.txt"

SYMBOLS = ("α", "β", "γ", "δ", "ε", "ζ", "χ", "P")
"""Of the torsions and of the sugar's phase."""

MAX_MEGABYTES = 60.0
"""Default of `Limits.megabytes`: browsers open such a page in about a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large the page may become.

    Attributes:
        megabytes: of all models and panels together. Where they take more, only the best model of each RNA is kept;
            where that is still more, the RNAs at the end of the list are in the table alone. The page says so.
    """

    megabytes: float = MAX_MEGABYTES

    def __post_init__(self) -> None:
        """Raise ConfigError for a limit that is no positive number."""
        if not self.megabytes > 0:
            raise ConfigError(f"megabytes: {self.megabytes} is not above 0. Give the room that the page may take.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of the entries goes onto the page.

    Attributes:
        entries: all of them; a panel is empty where there was no room for it.
        notices: what was left out, in sentences.
    """

    entries: tuple[Entry, ...]
    notices: tuple[str, ...]


def within(entries: Sequence[Entry], limits: Limits) -> Kept:
    """Leave out what is beyond the limits: first models below the best, then panels from the end."""
    room = round(limits.megabytes * 1e6)
    if sum(entry.size() for entry in entries) <= room:
        return Kept(entries=tuple(entries), notices=())
    kept, left_out, used = [], [], 0
    for entry in entries:
        used += entry.size(1)
        fits = used <= room
        left_out += [] if fits else [entry.id]
        kept.append(
            Entry(
                row=entry.row,
                panel=entry.panel if fits else "",
                models=entry.models[:1] if fits else (),
            )
        )
    notices = [
        f"All models would take more than {limits.megabytes:g} MB, so this page holds only the best model of each RNA."
    ]
    if left_out:
        notices.append(
            f"Even so {len(left_out)} of {len(entries)} RNAs, from {left_out[0]} on, are in the table alone. Name ids "
            "to `rna-predict report` to have theirs."
        )
    return Kept(entries=tuple(kept), notices=tuple(notices))


def page(entries: Sequence[Entry], title: str, limits: Limits | None = None) -> str:
    """The HTML text.

    Args:
        entries: in the order of the table.
        title: what the page is headed with.
        limits: how large it may become.

    Raises:
        InputError: no entries.
    """
    if not entries:
        raise InputError("no RNA to report. Name a folder of results that holds predictions, or a sample sheet.")
    kept = within(entries, limits or Limits())
    script = "\n".join(f"// {name}\n{_web(name)}" for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    scripts = [_web(VIEWER), script]
    policy = (
        f"default-src 'none'; script-src {' '.join(_hash(text) for text in scripts)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    blocks = [_block("report", json.dumps(_content(kept, title), allow_nan=False, ensure_ascii=False))]
    for number, entry in enumerate(kept.entries):
        blocks += [_block(f"panel-{number}", entry.panel)] if entry.panel else []
        blocks += [_block(f"model-{number}-{rank}", model) for rank, model in enumerate(entry.models)]
    parts = {
        "policy": policy,
        "title": html.escape(title),
        "version": html.escape(__version__),
        "style": _web(STYLE),
        "licence": html.escape(_web(VIEWER_LICENCE)),
        "blocks": "\n".join(blocks),
        "viewer": f"<script>{scripts[0]}</script>",
        "script": f"<script>{scripts[1]}</script>",
    }
    return _filled(_web("page.html"), parts)


def _content(kept: Kept, title: str) -> dict[str, Any]:
    """What the page knows before anything is opened."""
    statuses = [entry.row["status"] for entry in kept.entries]
    return {
        "title": title,
        "rows": [entry.row | {"opens": bool(entry.panel), "kept": len(entry.models)} for entry in kept.entries],
        "counts": {status: statuses.count(status) for status in (DONE, FAILED, UNFINISHED)},
        "notices": list(kept.notices),
        "atoms": ATOMS,
        "torsions": [
            {"name": name, "symbol": symbol, "a_form": degrees}
            for name, symbol, degrees in zip(
                (*TORSIONS, "pucker"), SYMBOLS, (*A_FORM_DEGREES.values(), C3_ENDO_PHASE_DEGREES), strict=True
            )
        ],
        "contact": CONTACT,
        "apart": APART,
        "pae_side": PAE_SIDE,
        "clashes_shown": CLASHES_SHOWN,
    }


def _block(id: str, text: str) -> str:
    """Text that no browser runs; `<` is escaped as JSON does, so that nothing in it ends the block."""
    escaped = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{id}">{escaped}</script>'


def _filled(template: str, parts: dict[str, str]) -> str:
    """The template with each `{{name}}` replaced, once: what is put in is not looked through again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _web(name: str) -> str:
    """A file that belongs to the page."""
    return (files("rna_predict.report") / "web" / name).read_text(encoding="utf-8")
