"""The arc diagram: formed pairs above the sequence, alternatives and missed native pairs below it."""

from dataclasses import dataclass

from rna_predict.report.frame import SAMPLE, Draw, Frame, Key, framed, line_sample, unit_of
from rna_predict.report.palette import CARD, FAINT, INK, RULE, colour, ink_on
from rna_predict.report.subject import MISSED, RIGHT, WRONG, Pair, Shown, Subject, most_probable
from rna_predict.report.svg import Font, Group, Pen, Point, numbers

WIDTH = 2800.0
PITCH = (2.0, 14.0)
"""Least and greatest width of a residue; in between the sequence is `WIDTH` wide."""

LETTERED = 6.0
"""Least width of a residue that has room for its letter."""

ALTERNATIVES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Probabilities above which pairs that were not chosen are shown: the first that leaves no more than `ROOM`."""

ROOM = 1500
"""Most alternatives that are drawn."""

FLATTEST = 0.42
"""Greatest height of an arc, in widths of the picture; where one would be higher all are made flatter."""

THICKEST = (0.24, 0.6)
"""Width of a line at probability 1: in font sizes of the key, but no more than so many widths of a residue, so that
the arcs of a stem stay apart."""

THIN, MIDDLE = 0.3, 0.62
"""Width of a line at probability 0 and of a missed pair, in widths of one at probability 1."""

DASHES = {RIGHT: (), WRONG: (4.6, 2.3), MISSED: (0.9, 1.3)}
"""Dash and gap of the verdicts, in widths of a line at probability 1: told apart without colours, as are the marks on
top of their arcs. Missed pairs have the ink of natives, whatever their probability: most have next to none and would
not be seen."""

MARK = 0.3
"""Half of a mark's size, in font sizes of the key. Where arcs are closer than that, a stem has one mark for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Measures of one diagram.

    Attributes:
        pitch: width of a residue.
        unit: font size of heading, numbers and key.
        flat: height of an arc over half of its width.
        above, below: heights of the two halves.
        band: height of the strip with the sequence and the numbers.
        strip: height of the sequence in it.
        thick: width of a line at probability 1.
        others: alternatives that are drawn.
    """

    pitch: float
    unit: float
    flat: float
    above: float
    below: float
    band: float
    strip: float
    thick: float
    others: Shown

    def x(self, index: int) -> float:
        """Middle of a residue."""
        return (index + 0.5) * self.pitch


def arc_diagram(subject: Subject) -> str:
    """The SVG text of one RNA's arc diagram, with verdicts where the subject has a native."""
    plan = _plan(subject)
    size = (plan.pitch * subject.length, plan.above + plan.band + plan.below)
    frame = framed(subject, "Arc diagram", size, _keys(subject, plan))
    _paint(frame, subject, plan)
    return frame.svg.markup()


def _plan(subject: Subject) -> _Plan:
    pitch = min(max(WIDTH / subject.length, PITCH[0]), PITCH[1])
    width = pitch * subject.length
    unit = unit_of(width)
    others = _alternatives(subject)
    spans = [_widest(subject.pairs), _widest([*others.pairs, *subject.missed_pairs])]
    flat = min(1.0, FLATTEST * width / (max(*spans, 1) * pitch / 2))
    above, below = ((span * pitch / 2 * flat + 1.2 * unit if span else 0.6 * unit) for span in spans)
    strip = max(1.25 * pitch, 0.7 * unit)
    return _Plan(
        pitch=pitch,
        unit=unit,
        flat=flat,
        above=above,
        below=below,
        band=strip + 1.9 * unit,
        strip=strip,
        thick=min(THICKEST[0] * unit, THICKEST[1] * pitch),
        others=others,
    )


def _alternatives(subject: Subject) -> Shown:
    """Pairs that were not chosen and are no missed native pairs, by their probability."""
    if subject.probability_LL is None:
        return Shown(pairs=[], threshold=ALTERNATIVES[0], left_out=0)
    rest = subject.probability_LL.copy()
    for i, j in [*subject.pairs, *subject.missed_pairs]:
        rest[i, j] = rest[j, i] = 0
    return most_probable(rest, ALTERNATIVES, ROOM)


def _widest(pairs: list[Pair]) -> int:
    return max((j - i for i, j in pairs), default=0)


def _keys(subject: Subject, plan: _Plan) -> list[Key]:
    verdicts = (RIGHT, WRONG) if subject.native_L is not None else ("",)
    names = {RIGHT: "above: right", WRONG: "above: wrong", MISSED: "below: missed", "": "above: formed pair"}
    keys = [Key(label=names[verdict], sample=_arc_sample(verdict)) for verdict in verdicts]
    if subject.missed_pairs:
        keys.append(Key(label=names[MISSED], sample=_arc_sample(MISSED)))
    if subject.probability_LL is None:
        return keys
    none = "" if plan.others.pairs else " (none)"
    keys.append(Key(label=f"below: other pair of p > {plan.others.threshold:g}{none}", sample=_arc_sample("")))
    if plan.others.left_out:
        keys.append(Key(label=f"{plan.others.left_out} others of p > {ALTERNATIVES[0]:g} left out for room"))
    return keys


def _arc_sample(verdict: str) -> Draw:
    def draw(group: Group, left: Point, unit: float) -> None:
        shade = INK if verdict == MISSED else FAINT
        thick = THICKEST[0] * unit
        width = (MIDDLE if verdict == MISSED else 1.0) * thick
        line_sample(Pen(fill="none", stroke=shade, width=width, dash=_dash(verdict, thick)))(group, left, unit)
        _mark(group, verdict, (left[0] + SAMPLE * unit / 2, left[1]), unit, shade)

    return draw


def _dash(verdict: str, thick: float) -> str | None:
    lengths = [part * thick for part in DASHES.get(verdict, ())]
    return numbers(*lengths) if lengths else None


def _mark(group: Group, verdict: str, top: Point, unit: float, shade: str) -> None:
    """A cross on a wrong pair's arc, an open circle on a missed one's."""
    arm = MARK * unit
    if verdict == WRONG:
        x, y = top
        steps = f"M{numbers(x - arm, y - arm)}l{numbers(2 * arm, 2 * arm)}"
        steps += f"m0 {numbers(-2 * arm)}l{numbers(-2 * arm, 2 * arm)}"
        group.path(steps, Pen(fill="none", stroke=shade, width=0.16 * unit))
    elif verdict == MISSED:
        group.circle(top, arm, Pen(fill=CARD, stroke=shade, width=0.14 * unit))


def _paint(frame: Frame, subject: Subject, plan: _Plan) -> None:
    upper = plan.above
    lower = plan.above + plan.band
    content = frame.content
    below = [(pair, "") for pair in plan.others.pairs] + [(pair, MISSED) for pair in subject.missed_pairs]
    lines = Pen(fill="none")
    others = content.group("alternatives", lines)
    missed = content.group("missed", lines)
    for pair, verdict in sorted(below, key=lambda item: (item[1], subject.probability(item[0]) or 0.0)):
        _arc(missed if verdict else others, subject, plan, (pair, lower), verdict)
    formed = content.group("pairs", lines)
    for pair in sorted(subject.pairs, key=lambda pair: subject.probability(pair) or 0.0):
        _arc(formed, subject, plan, (pair, upper), subject.verdict(pair))
    marks = content.group("marks")
    for pair in _marked(subject, plan):
        verdict = subject.verdict(pair)
        height = plan.flat * plan.pitch * (pair[1] - pair[0]) / 2
        y = lower + height if verdict == MISSED else upper - height
        middle = (plan.x(pair[0]) + plan.x(pair[1])) / 2
        _mark(marks, verdict, (middle, y), plan.unit, _shade(subject, pair))
    _paint_sequence(content, subject, plan)


def _marked(subject: Subject, plan: _Plan) -> list[Pair]:
    """Pairs with a mark: all that are wrong or missed, or the outermost of each run of them where they are close."""
    found = [pair for pair in [*subject.pairs, *subject.missed_pairs] if subject.verdict(pair) in (WRONG, MISSED)]
    if plan.flat * plan.pitch >= 2 * MARK * plan.unit:
        return found
    verdicts = {pair: subject.verdict(pair) for pair in found}
    return [(i, j) for i, j in found if verdicts.get((i - 1, j + 1)) != verdicts[i, j]]


def _arc(group: Group, subject: Subject, plan: _Plan, at: tuple[Pair, float], verdict: str) -> None:
    (i, j), y = at
    probability = subject.probability((i, j))
    width = THIN + (1 - THIN) * (1.0 if probability is None else probability)
    width = plan.thick * (MIDDLE if verdict == MISSED else width)
    radius = plan.pitch * (j - i) / 2
    over = y <= plan.above
    steps = f"M{numbers(plan.x(i), y)}A{numbers(radius, radius * plan.flat)} 0 0 {int(over)} {numbers(plan.x(j), y)}"
    pen = Pen(stroke=_shade(subject, (i, j)), width=width, dash=_dash(verdict, plan.thick))
    group.path(steps, pen, subject.pair_name((i, j)))


def _shade(subject: Subject, pair: Pair) -> str:
    return INK if subject.verdict(pair) == MISSED else colour(subject.probability(pair))


def _paint_sequence(content: Group, subject: Subject, plan: _Plan) -> None:
    """The strip of residues in their colours, with letters where there is room, and numbers under it."""
    top, unit = plan.above + 0.25 * plan.unit, plan.unit
    size = min(plan.pitch, plan.strip)
    residues = content.group("residues")
    letters = content.group("letters", font=Font(size=size, anchor="middle", weight="bold"))
    for index, probability in enumerate(subject.state_probabilities()):
        shade = colour(probability)
        tip = subject.state_name(index, probability)
        residues.rect((index * plan.pitch, top), (plan.pitch, plan.strip), Pen(fill=shade), tip)
        if plan.pitch >= LETTERED:
            middle = (plan.x(index), top + plan.strip / 2)
            letters.text(middle, subject.sequence[index], size, Font(fill=ink_on(shade)))
    ticks = content.group("ticks", Pen(stroke=RULE, width=0.08 * unit))
    labels = content.group("numbers", font=Font(size=0.9 * unit, anchor="middle", fill=FAINT))
    for k in ticks_of(subject.length, 3.2 * unit / plan.pitch):
        x, y = plan.x(k - 1), top + plan.strip
        ticks.path(f"M{numbers(x, y)}v{numbers(0.3 * unit)}")
        labels.text((x, y + 0.85 * unit), str(k), 0.9 * unit)
    ends = content.group("ends", font=Font(size=unit, weight="bold", fill=INK))
    ends.text((-0.35 * unit, top + plan.strip / 2), "5′", unit, Font(anchor="end"))
    ends.text((plan.pitch * subject.length + 0.35 * unit, top + plan.strip / 2), "3′", unit)


def ticks_of(length: int, apart: float) -> list[int]:
    """1-based residues that are numbered: 1 and every tenth, or fewer so that they are about `apart` residues apart."""
    step = next((k for k in (10, 20, 50, 100, 200, 500) if k >= apart), 1000)
    return [1, *range(step, length + 1, step)]
