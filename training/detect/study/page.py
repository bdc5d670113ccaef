"""The study as a page of Markdown. Every sentence that compares is written from the intervals, none by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from training.detect.study.findings import (
    FREE,
    LIMIT,
    ORDER,
    PARENT,
    TARGETS,
    Findings,
    Key,
    in_all,
    machine,
    mean_neurons,
)
from training.detect.study.intervals import Estimate
from training.detect.study.plan import (
    BITS,
    CONVERTED_BITS,
    CROWN_STEPS,
    FOLDS,
    INTEGER_STEPS,
    RATE_STEPS,
    SEEDS,
    STEPS,
)
from training.detect.study.tiles import OTHERS

OPEN = "open"
WORST = 10  # layers that are listed by name


def page(study: Findings, figures: Iterable[str]) -> str:
    """The whole page; `figures` are the names of the images that were drawn."""
    drawn = set(figures)
    parts = [_head(study), _neurons(study), _crowns(study), _bits(study), _rates(study), _extremes(study)]
    parts += [_counts(study), _limits(study)]
    text = "\n\n".join(parts)
    for name in ("neurons", "bits", "rates", "extremes", "counts"):
        image = f"![](images/learning-{name}.png)" if name in drawn else ""
        text = text.replace(f"\n\n<{name}>", f"\n\n{image}" if image else "")
    return text + "\n"


def table(head: str, rows: Iterable[Iterable[object]]) -> str:
    """Markdown; columns of `head` are separated by '|'."""
    titles = [t.strip() for t in head.split("|")]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(str(c) for c in row) + " |" for row in rows)])


def shown(found: Estimate | None, metric: int = 0) -> str:
    """Mean and interval."""
    if found is None:
        return OPEN
    return f"{found.mean[metric]:.3f} [{found.low[metric]:.3f}, {found.high[metric]:.3f}]"


def change(found: Estimate | None, metric: int = 0) -> str:
    """The same with signs."""
    if found is None:
        return OPEN
    return f"{found.mean[metric]:+.3f} [{found.low[metric]:+.3f}, {found.high[metric]:+.3f}]"


def single(found: Estimate | None, metric: int = 0) -> str:
    """Each training's figure."""
    return OPEN if found is None else ", ".join(f"{v[metric]:.3f}" for v in found.single.values())


def percent(share: float | None) -> str:
    """Three digits are enough."""
    return "" if share is None else f"{share:.2%}"


def order(reference: str, changes: Mapping[str, Estimate | None]) -> str:
    """Which settings the intervals place above or below `reference`, and of which they cannot tell."""
    groups: dict[str, list[str]] = {"above it": [], "below it": [], "cannot be told": [], "one training": [], OPEN: []}
    for name, found in changes.items():
        if found is None:
            groups[OPEN].append(name)
        elif len(found.single) < 2:
            groups["one training"].append(name)
        else:
            groups[("cannot be told", "above it", "below it")[found.sign]].append(name)
    said = {"one training": "of one training alone, which orders nothing"}
    listed = [f"{said.get(k, k)}: {', '.join(v)}" for k, v in groups.items() if v]
    return f"Against {reference}, in mAP50: {'; '.join(listed)}."


def _head(study: Findings) -> str:
    left = study.open_jobs()
    dates = " to ".join(dict.fromkeys(study.dates())) or "not yet"
    lines = [
        "# What integer spikes cost and bring",
        "",
        "Written by `python -m training.detect.study.report --out runs/study`; all numbers are in "
        "[learning.json](learning.json). Sentences that compare are made from the intervals: an order is stated where "
        "the 95% interval of a paired difference excludes 0, and nowhere else.",
        "",
        f"Trainings: `python -m training.detect.study --cells <BCCD> --crowns <photographs> --out runs/study`, once "
        f"for each core; {machine()}; ended {dates}. {len(study.jobs) - len(left)} of {len(study.jobs)} jobs are done.",
    ]
    if left:
        kinds: dict[str, list[str]] = {}
        for name in left:
            kinds.setdefault(name.partition("/")[0], []).append(name.partition("/")[2])
        lines += [
            "",
            "**Unfinished.** Where one training is all there is, its interval is over images alone. Open jobs:",
            "",
        ]
        lines += [f"- {kind}: {', '.join(names)}" for kind, names in kinds.items()]
    return "\n".join(lines)


def _neurons(study: Findings) -> str:
    rows, gaps = [], []
    for name in ORDER:
        found, setting = study.estimate("neurons", name), study.found.get(("neurons", name))
        label = "ANN (ReLU)" if name == "ANN" else name
        seconds = OPEN
        if name in study.seconds:
            seconds = f"{study.seconds[name]:.2f} ({study.seconds[name] / study.seconds['D=4']:.2f})"
        count = setting.mean("mean_count") if setting else None
        rows.append(
            (label, shown(found), single(found), shown(found, 1), single(found, 1),
             percent(setting.mean("density") if setting else None), "" if count is None else f"{count:.3f}", seconds)
        )  # fmt: skip
        to = [None if name == r else study.change(("neurons", name), ("neurons", r)) for r in ("D=4", "ANN")]
        cells = ["" if name == r else change(t, m) for r, t in zip(("D=4", "ANN"), to, strict=True) for m in (0, 1)]
        gaps.append((label, *cells))
    against = {r: {n: study.change(("neurons", n), ("neurons", r)) for n in ORDER if n != r} for r in ("D=4", "ANN")}
    return f"""## Neurons

The demo's detector with neurons of 0..D counts in T timesteps, and its twin, which has a ReLU in the place of every
neuron: one architecture, {STEPS} steps of float training, the same images and augmentation (seeds {_listed(SEEDS)}),
validated on {study.images or "the"} photographs of blood cells. Settings are the demo's, found with D = 4. A step of T
timesteps computes T times as much; seconds are of one thread, taken side by side, while the machine did other work
too: the ratio to D=4, in brackets, is what can be compared. The mean count is that of layers.

{table("neuron | mAP50 | by seed | mAP50:95 | by seed | density | mean count | s / step", rows)}

<neurons>

Paired differences:

{table("neuron | mAP50 - D=4 | mAP50:95 - D=4 | mAP50 - ANN | mAP50:95 - ANN", gaps)}

{order("D=4", against["D=4"])}

{order("the ANN", against["ANN"])}"""


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(v) for v in values)


def _crowns(study: Findings) -> str:
    rows = []
    for name in ("D=4", "ANN"):
        found, setting = study.estimate("crowns", name), study.found.get(("crowns", name))
        density = percent(setting.mean("density") if setting else None)
        rows.append((name, shown(found), single(found), shown(found, 1), single(found, 1), density))
    gap = study.change(("crowns", "D=4"), ("crowns", "ANN"))
    rows.append(("D=4 - ANN", change(gap), "", change(gap, 1), "", ""))
    away = []
    for photograph in OTHERS:
        cells = [shown(study.transfer(photograph, n)) for n in ("D=4", "ANN")]
        setting = study.others.get((photograph, "D=4"))
        away.append(
            (photograph, setting.images if setting else OPEN, *cells, change(study.transfer_change(photograph)))
        )
    orders = [order(f"the ANN on {p}", {"D=4": study.transfer_change(p)}) for p in OTHERS]
    return f"""## Tree crowns, across space

One photograph of a forest from the air, cut in four: each fold trains {CROWN_STEPS} steps on tiles of three quarters
and is validated on the fourth. Means over {len(FOLDS)} folds; images are drawn within folds, and folds. Neighbouring
tiles are alike, and those at a border overlap, so that intervals are narrower than they should be.

{table("neuron | mAP50 | by fold | mAP50:95 | by fold | density", rows)}

{order("the ANN", {"D=4": gap})}

The same networks on two photographs that none of them saw, of another site and of another forest, cut into tiles in the
same way. mAP50, means over folds:

{table("photograph | tiles | D=4 | ANN | D=4 - ANN", away)}

{" ".join(orders)}"""


def _bits(study: Findings) -> str:
    rows = []
    for bits in CONVERTED_BITS:
        after: Key = ("converted", f"{bits} bits")
        rows.append((f"{bits} bits, rounded after training", *_to_parent(study, after), ""))
        if bits in BITS:
            trained: Key = ("integer", f"{bits} bits")
            against = change(study.change(trained, after))
            rows.append((f"{bits} bits, trained on", *_to_parent(study, trained), against))
    rows.append(("float, trained on", *_to_parent(study, FREE), ""))
    rounded = {f"{b} bits": study.change(("converted", f"{b} bits"), PARENT) for b in CONVERTED_BITS}
    exact = {f"{b} bits": study.change(("integer", f"{b} bits"), PARENT) for b in BITS}
    both = {f"{b} bits": study.change(("integer", f"{b} bits"), ("converted", f"{b} bits")) for b in BITS}
    return f"""## Weights of 8 bits and fewer

From the float networks of D=4 above: their weights rounded and nothing else; {INTEGER_STEPS} steps of integer-exact
training after it; and, to see what training longer brings by itself, {RATE_STEPS} more float steps whose penalty weighs
next to nothing (0.001). What is evaluated is the integer network after its last step; no step is chosen.

{table("network | mAP50 | - its float parent | mAP50:95 | - its float parent | mAP50 - rounded alone", rows)}

<bits>

Rounded alone. {order("the float parent", rounded)}

Trained on. {order("the float parent", exact)} {order("rounding alone", both)}

Float steps alone. {order("the float parent", {"trained on": study.change(FREE, PARENT)})}"""


def _to_parent(study: Findings, key: Key) -> list[str]:
    found, gap = study.estimate(*key), study.change(key, PARENT)
    return [shown(found), change(gap), shown(found, 1), change(gap, 1)]


def _rates(study: Findings) -> str:
    rows = []
    for label, key in (("parent", PARENT), *((t, ("rate", t)) for t in ("free", *TARGETS))):
        setting = study.found.get(key)
        density = percent(setting.mean("density") if setting else None)
        count = setting.mean("mean_count") if setting else None
        against = ["" if key == r else change(study.change(key, r)) for r in (PARENT, FREE)]
        if key == PARENT:
            against = ["", ""]
        found = study.estimate(*key)
        rows.append((label, density, "" if count is None else f"{count:.3f}", shown(found), single(found), *against))
    freely = {t: study.change(("rate", t), FREE) for t in TARGETS}
    return f"""## The price of silence

The firing-rate penalty for {RATE_STEPS} steps after the float training of D=4, driven to a target density (share of
non-zero counts, half by element, half by fan-out), and as many steps without it ("free"). Densities are those measured
in validation.

{table("target | density | mean count | mAP50 | by seed | - parent | - free", rows)}

<rates>

{order("as many steps without the penalty", freely)}"""


def _extremes(study: Findings) -> str:
    rows = []
    for (what, name), setting in study.found.items():
        neurons = mean_neurons(setting.neurons.values())
        if not neurons or what == "crowns":
            continue
        dead = max(neurons, key=lambda n: neurons[n]["dead"])
        full = max(neurons, key=lambda n: neurons[n]["saturated"])
        rows.append(
            (f"{what} {name}", percent(in_all(neurons, "dead")), f"{dead} {neurons[dead]['dead']:.1%}",
             percent(in_all(neurons, "saturated")), f"{full} {neurons[full]['saturated']:.1%}",
             percent(in_all(neurons, "largest")))
        )  # fmt: skip
    return f"""## Dead and saturated neurons

A neuron (channel, row, column) is dead if it fires on no validation image, saturated if it gives its largest count on
every one. Means over seeds; every layer is in [learning.json](learning.json).

{table("setting | dead | most in | saturated | most in | counts that are the largest", rows)}

<extremes>"""


def _counts(study: Findings) -> str:
    rows, said = [], []
    for bits in CONVERTED_BITS:
        found = [by_bits[bits] for by_bits in study.counts.values() if bits in by_bits]
        if not found:
            continue
        layers = [n for handed, _ in found for n in handed.neurons]
        worst = max(layers, key=lambda n: n.share)
        over = sum(n.share > LIMIT for n in layers) / len(layers)
        largest = max(n.largest for n in layers)
        shares = [percent(float(np.mean([r[i].share for r in found]))) for i in (0, 1)]
        rows.append((bits, shares[0], f"{percent(worst.share)} ({worst.neuron})", percent(over), largest, shares[1]))
        if bits == 8:
            holds = "holds" if worst.share <= LIMIT else "does not hold"
            said.append(
                f"That rounding to 8 bits changes at most {LIMIT:.1%} of the counts of any one layer {holds} for these "
                f"networks: the largest share is {percent(worst.share)}, in `{worst.neuron}`."
            )
    seeds = _listed(study.counts) or OPEN
    return f"""## Counts changed by rounding

What rounding the weights of a trained float network changes, layer by layer, on the validation photographs
(`pyspike.nn.compare_counts`): every synapse of both networks is given the float network's counts, so that a layer is
judged by its own weights; residual streams carry the rounding that was added to them. D=4, seeds {seeds}. End to
end, where each network goes its own way, differences multiply from layer to layer.

{table(f"bits | counts changed | most in a layer | layers above {LIMIT:.1%} | largest change | end to end", rows)}

<counts>

{" ".join(said)}{_layers(study)}"""


def _layers(study: Findings) -> str:
    """The layers of which rounding changes most, where there are any."""
    bits = [b for b in CONVERTED_BITS if study.counts]
    shares = {b: np.mean([[n.share for n in t[b][0].neurons] for t in study.counts.values()], 0) for b in bits}
    if not shares:
        return ""
    names = [n.neuron for n in next(iter(study.counts.values()))[bits[0]][0].neurons]
    worst = np.argsort(-shares[bits[0]], kind="stable")[:WORST]
    rows = [(f"`{names[i]}`", *(percent(float(shares[b][i])) for b in bits)) for i in worst]
    head = " | ".join(["layer", *(f"{b} bits" for b in bits)])
    return f"\n\nThe {len(rows)} layers that change most at {bits[0]} bits, means over seeds:\n\n{table(head, rows)}"


def _limits(study: Findings) -> str:
    return f"""## What this cannot see

- Three seeds are few. Drawn with repetition they make only ten different sets, which understate the spread between
  trainings by about a fifth: the intervals are too narrow, most of all where seeds differ more than images do. A
  training worse than all three is not in them.
- One split into training and validation images, one data set of cells, one size of network, one budget. Which neuron
  is better after ten times the steps, at ten times the size or with settings found for it is another question.
- The page shows {len(study.comparisons())} paired differences of mAP50. Of 95% intervals one in twenty excludes 0 by
  chance.
- Three classes of cells count alike in mAP, however many boxes they have."""
