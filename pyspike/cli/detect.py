"""`pyspike detect`: objects in photographs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pyspike.cli.console import out, steps
from pyspike.errors import ShapeError
from pyspike.io.images import draw_detections, read_image, save_image
from pyspike.runtime import Model
from pyspike.tasks.detect import Detection, Detector, counts_per_class


def detect(
    model: Annotated[Path, typer.Argument(help="A compiled detection model (.spk).")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photographs (JPEG, PNG, ...).")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for annotated pictures, or a file name for a single one.")
    ] = Path("out"),
    confidence: Annotated[float | None, typer.Option(help="Least score, 0 to 1; the model's own without it.")] = None,
    iou: Annotated[float | None, typer.Option(help="Overlap above which the weaker box is dropped, 0 to 1.")] = None,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print boxes as JSON, one line for each photograph.")] = False,
) -> None:
    """Find objects in photographs, print their counts and write annotated pictures.

    Example: [bold]pyspike detect cells.spk smear.jpg --output smear.png[/bold]
    """
    detector = Detector(Model.load(model).runtime(threads=threads), confidence=confidence, iou=iou)
    single = output.suffix != "" and not output.is_dir()
    if single and len(photos) > 1:
        raise ShapeError(f"{output} is the name of one picture, but there are {len(photos)} photographs: name a folder")
    with steps("Detecting", total=len(photos)) as bar:
        for photo in photos:
            bar.say(photo.name)
            image = read_image(photo)
            found = detector(image)
            target = output if single else output / f"{photo.stem}.png"
            save_image(draw_detections(image, found, detector.task.classes), target)
            _report(photo, target, found, detector.task.classes, as_json)
            bar.advance()


def _report(photo: Path, target: Path, found: Sequence[Detection], classes: Sequence[str], as_json: bool) -> None:
    if as_json:
        boxes = [{"name": d.name, "score": round(d.score, 6), "box": [round(v, 3) for v in d.box]} for d in found]
        out.print(json.dumps({"photo": str(photo), "picture": str(target), "detections": boxes}), markup=False)
        return
    counts = ", ".join(f"{number} {name}" for name, number in counts_per_class(found, classes).items())
    out.print(f"{photo}: {counts} -> {target}", markup=False)
