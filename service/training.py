"""`sonoba pretrain-foundation`: train the layers' scalars, watch them, write a model file.

Training needs torch, which serving never imports: both stay inside the command.
"""

import re
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from model.pretrain.foundation import Trained

MODEL_FILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\.json")
FILE = click.Path(dir_okay=False, path_type=Path)
MOST_STEPS, MOST_LAYERS = 1_000_000, 64

NO_TORCH = (
    "training needs torch, which is not installed (serving does not need it). README, section "
    "'Pretraining', says how to get the small CPU build; then run this again."
)
NO_MATPLOTLIB = (
    "--plot needs matplotlib, which is not installed: run `pip install -e ./client -e '.[demo]'` "
    "in the project's folder, or leave --plot out."
)


@click.command("pretrain-foundation")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Start of the random numbers; the same seed gives the same weights.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, MOST_STEPS),
    default=1200,
    show_default=True,
    help="Gradient steps, each on 512 prompts.",
)
@click.option(
    "--layers",
    type=click.IntRange(1, MOST_LAYERS),
    default=4,
    show_default=True,
    help="Layers of the model; fewer than 3 do not pass the safety check.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to train; the model is so small that a GPU gains nothing.",
)
@click.option(
    "--out",
    type=FILE,
    default="retrained.json",
    show_default=True,
    help="Model file to write, named like the model; replaced only by a complete one.",
)
@click.option("--plot", type=FILE, metavar="FILE.png", help="Also draw the loss of every step.")
def pretrain_foundation(
    seed: int, steps: int, layers: int, device: str, out: Path, plot: Path | None
) -> None:
    """Train the foundation model: the two scalars of each layer, in seconds on one core.

    The layers learn on random prompts, never on anyone's rows, how to turn labelled examples into
    predictions. What they learn is checked before it is written: layers that could make a prompt
    worse than no answer are refused, and the file named by --out stays as it was.

    \b
    Examples:
      sonoba pretrain-foundation --out my.json --plot loss.png
      sonoba pretrain-foundation --seed 1 --layers 8 --out deep.json
    """
    _check_places(out, plot)
    _check_libraries(plot)
    started = time.monotonic()
    trained = _train(seed, steps, layers, device)
    seconds = time.monotonic() - started
    first, last = trained.losses[0], trained.final_loss
    click.echo(f"trained {layers} layers in {seconds:.1f} s: loss {first:.3f} → {last:.3f}")
    if plot:
        draw_losses(trained.losses, plot)
    _save(trained, out)


def _check_places(out: Path, plot: Path | None) -> None:
    """Refuse what could not be written, before the time is spent."""
    for flag, path in (("--out", out), ("--plot", plot)):
        if path and not path.parent.is_dir():
            sentence = f"{flag}: expected a folder that exists, got {path.parent}"
            raise click.ClickException(sentence)
    if not MODEL_FILE.fullmatch(out.name):
        sentence = "expected a model's name (a-z, 0-9, '.', '_', '-') and .json, got " + out.name
        raise click.ClickException(f"--out: {sentence}")


def _check_libraries(plot: Path | None) -> None:
    """Say how to get a library that is absent, before the time is spent."""
    if find_spec("torch") is None:
        raise click.ClickException(NO_TORCH)
    if plot and find_spec("matplotlib") is None:
        raise click.ClickException(NO_MATPLOTLIB)


def _train(seed: int, steps: int, layers: int, device: str) -> "Trained":
    """Train with a progress bar that shows the loss."""
    from rich.console import Console  # here, so that the server does not carry it
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from model.pretrain.foundation import gpu_is_present, train

    if device == "cuda" and not gpu_is_present():
        raise click.ClickException("--device: expected a GPU that torch can use, found none")
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps, loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=steps, loss=float("nan"))
        return train(
            seed,
            steps,
            layers,
            device,
            lambda done, loss: progress.update(task, completed=done, loss=loss),
        )


def _save(trained: "Trained", out: Path) -> None:
    """Write the model file if the layers are safe, and say how to serve it."""
    from model.pretrain.foundation import Uncertified, save

    try:
        found = save(trained, out)
    except Uncertified as error:
        raise click.ClickException(f"{error}. More --steps or another --seed may help.") from None
    except OSError as error:
        raise click.ClickException(f"--out: {out}: {error.strerror}") from None
    click.echo(f"safe on every prompt: residual in [{found.residual_min:.3f}, 1), inverse above 0")
    click.echo(f"wrote {out}")
    if out.stem != "foundation":  # the bundled model has that name
        click.echo(f"serve it: sonoba serve --model-files {out} --default-model {out.stem}")


def draw_losses(losses: tuple[float, ...], path: Path) -> None:
    """Save the loss of every step as a PNG; a bare figure needs no display and no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(losses) + 1), losses, linewidth=0.8, color="#2563a8", label="batch")
    axes.axhline(1.0, linestyle="--", color="#666666", label="Bayes ridge, the best possible")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("training step (512 prompts each)")
    axes.set_ylabel("risk ÷ Bayes-ridge risk")
    axes.set_title("Training the foundation layers: loss after one pass")
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, format="png")
