"""`pyspike sweep`: a network on every chip of a grid, with a table, and a picture of what is worth building."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pyspike.chip import sweep as space
from pyspike.chip.sweep import Grid, Job, Outcome, Point
from pyspike.chip.sweep_point import EFFORT
from pyspike.cli.console import err, out, table
from pyspike.cli.inputs import load_inputs
from pyspike.cli.simulate import SeedOption
from pyspike.errors import MissingExtraError
from pyspike.report.pareto import Design, DesignSpace, draw
from pyspike.runtime import Model

INTERRUPTED = 130


def sweep(
    model: Annotated[Path, typer.Argument(help="A model image (.spk).")],
    grid: Annotated[Path, typer.Option(help="A TOML file: a chip, and lists of values for its keys.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="A .npy or .npz file, or a photograph; random integers without it."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table (.csv); the picture (.png) goes beside it.")
    ] = Path("out/sweep.csv"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Points at once; as many as there are CPUs without it.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="local|ADDRESS", help="Run on a Ray cluster: a new one, or one to join.")
    ] = None,
    seed: SeedOption = 0,
    effort: Annotated[int, typer.Option(min=0, help="Proposals of the placement per tile.")] = EFFORT,
) -> None:
    """Simulate a model on every chip of a grid, and compare latency, energy and area.

    Points are kept in a journal beside the table: the same command goes on where a sweep was stopped. A point that
    fails is reported, and the others go on. Exit code 1 where the outputs of a point differ from the runtime's, or
    where no point ran.

    Example: [bold]pyspike sweep network.spk photograph.jpg --grid grid.toml -o sweep.csv --workers 8[/bold]
    """
    if output.suffix != ".csv":
        raise typer.BadParameter(f"expected a file that ends in .csv, found {output.name!r}", param_hint="--output")
    loaded = Model.load(model)
    inputs = load_inputs(loaded, source, seed)
    described = Grid.load(grid)
    job = Job(model.read_bytes(), inputs, loaded.runtime().run(inputs, raw=True), seed, effort)
    journal = output.with_name(f"{output.name}.journal")
    outcomes = _run(job, described, journal, workers, ray)
    space.write_csv(described, outcomes, output)
    _report(described, outcomes, output, f"{model.name} on {len(outcomes)} chips")
    if any(each.differences for each in outcomes) or not any(each.figures for each in outcomes):
        raise typer.Exit(1)


def _run(job: Job, grid: Grid, journal: Path, workers: int | None, ray: str | None) -> list[Outcome]:
    """All outcomes; failures go to stderr as they happen."""
    done = failed = 0
    with _bar(len(grid.points)) as (progress, task):

        def tell(point: Point, outcome: Outcome, known: bool) -> None:
            nonlocal done, failed
            done, failed = done + 1, failed + (outcome.figures is None)
            if outcome.figures is None:
                progress.console.print(f"{point}: {outcome.status}", markup=False, soft_wrap=True)
            if known:  # such points say nothing of the time that others take
                progress.reset(task, completed=done, failed=failed)
            else:
                progress.update(task, completed=done, failed=failed)

        try:
            return space.sweep(job, grid, journal, workers=workers, ray=ray, tell=tell)
        except KeyboardInterrupt:
            err.print(
                f"pyspike: stopped after {done} of {len(grid.points)} points; the same command goes on from there",
                markup=False, soft_wrap=True,
            )  # fmt: skip
            raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _bar(total: int) -> Iterator[tuple[Progress, TaskID]]:
    """A bar of points, with how many failed and how long the rest may take."""
    columns = (
        SpinnerColumn(), TextColumn("Sweeping"), BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f} of {task.total:.0f} points, {task.fields[failed]} failed"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    # A point may take minutes: the speed is that of the whole sweep.
    period = 7 * 24 * 3600
    with Progress(
        *columns, console=err, transient=True, disable=not err.is_terminal, speed_estimate_period=period
    ) as progress:
        yield progress, progress.add_task("", total=total, failed=0)


def _report(grid: Grid, outcomes: list[Outcome], output: Path, title: str) -> None:
    """Print the optimal points, and draw all."""
    swept = [key for key, values in grid.axes.items() if len(values) > 1] or list(grid.axes)
    ran = [(point, each.figures) for point, each in zip(grid.points, outcomes, strict=True) if each.figures]
    lost = len(outcomes) - len(ran)
    if ran:
        designs = [
            Design(tuple(_short(key, point.values[key]) for key in swept), each.seconds, each.joules, each.area)
            for point, each in ran
        ]
        drawn = DesignSpace(title, swept, designs, f"{len(ran)} points ran, {lost} failed")
        listing = table(
            *swept, ">ms", ">mJ", ">mm2", ">cores", ">passes", title="Not beaten in latency, energy and area"
        )
        for i in drawn.optimal():
            point, each = ran[i]
            listing.add_row(
                *(escape(space.text(point.values[key])) for key in swept), f"{1e3 * each.seconds:.4g}",
                f"{1e3 * each.joules:.4g}", f"{each.area:.4g}", str(each.cores), str(each.passes),
            )  # fmt: skip
        out.print(listing)
    out.print(f"{'points':<12}{len(outcomes)}: {len(ran)} ran, {lost} failed")
    out.print(f"{'table':<12}{output}", markup=False)
    if ran:
        try:
            out.print(f"{'picture':<12}{draw(drawn, output.with_suffix('.png'))}", markup=False)
        except MissingExtraError as error:
            err.print(f"no picture: {error}", markup=False, soft_wrap=True)


def _short(key: str, value: object) -> str:
    """A value in the picture; of an energy file its name."""
    return Path(str(value)).name if key == "energy" else space.text(value)
