import json
import sys

import pytest
from click.testing import CliRunner

from service.training import draw_losses, pretrain_foundation

pytestmark = pytest.mark.slow  # seconds, all together


def run(*arguments):
    return CliRunner().invoke(pretrain_foundation, [str(argument) for argument in arguments])


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python keeps of a failed import


@pytest.fixture
def tiny(monkeypatch):
    """Training of the real thing on few prompts; skipped where torch is absent."""
    pytest.importorskip("torch", reason="training needs torch (README, Pretraining)")
    from model.pretrain import foundation
    from model.pretrain.spectra import training_spectra

    monkeypatch.setattr(foundation, "training_spectra", lambda seed: training_spectra(seed, 5))


def test_without_torch_a_sentence_says_where_to_read_and_nothing_is_written(no_torch, tmp_path):
    result = run("--out", tmp_path / "mine.json")

    assert result.exit_code == 1
    assert "needs torch" in result.stderr and "'Pretraining'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_a_plot_is_refused_before_the_training(tiny, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("--out", tmp_path / "mine.json", "--plot", tmp_path / "loss.png")

    assert result.exit_code == 1
    assert "matplotlib" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mine.txt", "Mine.json", ".json"])
def test_a_file_that_could_not_name_a_model_is_refused(tmp_path, name):
    result = run("--out", tmp_path / name)

    assert result.exit_code == 1
    assert "expected a model's name" in result.stderr


def test_a_folder_that_does_not_exist_is_refused_before_the_training(tmp_path):
    result = run("--out", tmp_path / "nowhere" / "mine.json")

    assert result.exit_code == 1
    assert "--out: expected a folder that exists" in result.stderr


def test_help_teaches_with_examples():
    result = run("--help")

    assert result.exit_code == 0
    assert "sonoba pretrain-foundation --out my.json --plot loss.png" in result.stdout


def test_training_writes_a_model_and_a_picture(tiny, tmp_path):
    model, picture = tmp_path / "mine.json", tmp_path / "loss.png"
    result = run("--steps", 300, "--out", model, "--plot", picture)

    assert result.exit_code == 0, result.output
    assert f"sonoba serve --model-files {model} --default-model mine" in result.stdout
    assert json.loads(model.read_text())["provenance"]["train_steps"] == 300
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_layers_that_fail_the_safety_check_end_in_a_sentence(tiny, tmp_path):
    model = tmp_path / "mine.json"
    result = run("--steps", 300, "--layers", 1, "--out", model)

    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    assert not model.exists()


def test_a_loss_curve_needs_no_display(tmp_path):
    draw_losses((3.0, 2.0, 1.5), tmp_path / "loss.png")

    assert (tmp_path / "loss.png").stat().st_size > 1000
