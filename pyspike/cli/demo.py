"""`pyspike demo`: a photograph in, cells found and counted, the result proven."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import pyspike
from pyspike import image
from pyspike.cli.console import PERCENT, out, percent, si, steps
from pyspike.cli.inputs import Arrays
from pyspike.cli.simulate import differences, teller
from pyspike.cli.verify import verify_with_progress
from pyspike.io.images import draw_detections, read_image, save_image
from pyspike.report.activity import Activity, measure
from pyspike.runtime import Model
from pyspike.tasks.detect import Detector, counts_per_class

DATA = Path(pyspike.__file__).parent / "data"


def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="A photograph; the one that comes with pyspike without it.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the annotated picture goes.")] = Path(
        "out/demo.png"
    ),
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 2,
    chip: Annotated[bool, typer.Option("--chip/--no-chip", help="Run it on the simulated chip too.")] = True,
    check: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare all executors on the photograph.")
    ] = True,
) -> None:
    """Find and count blood cells in a microscope photograph, by additions only, and prove that the integers are right.

    Example: [bold]pyspike demo smear.jpg --output smear.png[/bold]
    """
    photo = photo or DATA / "demo.jpg"
    source = DATA / "demo.spk"
    model = pyspike.Model.load(source)
    runtime = model.runtime(threads=threads)
    detector = Detector(runtime)
    picture = read_image(photo)
    x, place = detector.preprocess(picture)
    inputs = {model.inputs[0].name: x}
    with steps("Detecting", total=3) as bar:
        found = detector.postprocess(runtime.run(inputs), place)
        bar.advance("Counting")
        profile = runtime.profile(inputs)
        bar.advance("Measuring activity")
        activity = measure(image.read(source), inputs, threads=threads)
        bar.advance()
    save_image(draw_detections(picture, found, detector.task.classes), output)

    counts = counts_per_class(found, detector.task.classes)
    _line("photograph", str(photo))
    _line("found", ", ".join(f"{number} {name}" for name, number in counts.items()))
    _print_work(activity, profile.sops, profile.adds)
    _line("picture", str(output))
    if chip:
        _simulate(source, model, inputs, output.with_suffix(".html"))
    if not check:
        return
    onnx = DATA / "demo.onnx"
    report = verify_with_progress(source, onnx if onnx.is_file() else None, inputs)
    out.print(str(report), markup=False)
    if report.differences:
        raise typer.Exit(1)


def _simulate(source: Path, model: Model, inputs: Arrays, target: Path) -> None:
    """The same photograph on the simulated chip: cycles, energy, and whether its integers are the runtime's."""
    with steps("Mapping", total=PERCENT) as bar:
        report = pyspike.simulate(source, inputs, progress=teller(bar))
    different = differences(report, model, inputs)
    agreement = f"{different:,} outputs differ from the runtime's" if different else "outputs equal the runtime's"
    report.write_html(target, "The demo on the simulated chip", agreement)
    _line(
        "chip",
        f"{report.cycles:,} cycles, {1e3 * report.seconds:.3g} ms at {report.chip.clock / 1e6:.4g} MHz, "
        f"{si(report.energy.total, 'J')} ({report.chip.energy}), {report.flits:,} flits; {agreement}",
    )
    _line("report", str(target))
    if different:
        raise typer.Exit(1)


def _line(what: str, text: str) -> None:
    out.print(f"{what:<12}{text}", markup=False)


def _print_work(activity: Activity, sops: int, adds: int) -> None:
    _line(
        "density",
        f"{percent(activity.density, 1)} of the spike counts are not 0 "
        f"({percent(activity.element_density, 1)} of elements, {percent(activity.synaptic_density, 1)} by fan-out)",
    )
    _line(
        "work",
        f"{si(sops)} synaptic operations (SOPs) by {si(adds)} additions, "
        f"where the dense twin takes {si(activity.macs)} MACs",
    )
    _line(
        "energy",
        f"{si(activity.papers_energy, 'J')} by the papers' formula (4.6 pJ x MACs of the first layer + 0.9 pJ x sum of "
        f"mean count x MACs), the dense twin {si(activity.papers_dense_energy, 'J')}",
    )
