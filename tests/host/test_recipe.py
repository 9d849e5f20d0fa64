from __future__ import annotations

import msgspec
import pytest

from edgenet.errors import UsageError
from edgenet.host import recipe


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_that_comes_with_edgenet_is_sound(name):
    loaded = recipe.load(name)
    assert loaded.about
    assert recipe.parse(msgspec.to_builtins(loaded), name) == loaded


def test_the_papers_recipe_is_the_papers():
    paper = recipe.load("paper")
    assert paper.optimizer.name == "rmsprop"
    assert not paper.optimizer.decay_depthwise
    assert (paper.label_smoothing, paper.augment.mixup, paper.augment.cutmix) == (0, 0, 0)


def test_a_file_is_a_recipe_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('epochs = 3\nbatch_size = 8\n[optimizer]\nname = "adamw"\nlr = 1e-3\n')
    assert recipe.load(str(path)).optimizer == recipe.Optimizer(name="adamw", lr=1e-3)


def test_values_are_changed_one_by_one():
    changed = recipe.load(
        "modern",
        ("epochs=7", "optimizer.name=adamw", "augment.scale=[0.5, 1.0]", 'augment.crop="pad"'),
    )
    assert (changed.epochs, changed.optimizer.name) == (7, "adamw")
    assert (changed.augment.scale, changed.augment.crop) == ((0.5, 1.0), "pad")
    assert changed.label_smoothing == recipe.load("modern").label_smoothing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("epoch=1", "recipe modern: no key 'epoch'; did you mean 'epochs'"),
        ("optimizer.lrr=1", "no optimizer key 'lrr'; did you mean 'lr'"),
        ("optimizer.lr=-1", r"optimizer\.lr: Expected `float` > 0"),
        ("optimizer.lr=fast", r"optimizer\.lr: Expected `float`, got `str`"),
        ("optimizer.name=sdg", r"optimizer\.name: Invalid enum value 'sdg'"),
        ("ema=1", "ema: Expected `float` < 1"),
        ("epochs=0", "epochs: Expected `int` >= 1"),
        ("augment.scale=[1.0, 0.5]", "augment: scale is .*; the smaller comes first"),
        ("augment.scale=[0, 1]", "above 0"),
        ("epochs", "expected KEY=VALUE"),
        ("epochs=", "expected KEY=VALUE"),
        ("epochs.first=1", "epochs is a value, not a section"),
    ],
)
def test_a_change_that_is_not_allowed_is_named(change, words):
    with pytest.raises(UsageError, match=words):
        recipe.load("modern", (change,))


def test_an_unknown_recipe_is_told_what_there_is(tmp_path):
    with pytest.raises(UsageError, match=r"no recipe 'moddern'; did you mean 'modern'"):
        recipe.load("moddern")
    broken = tmp_path / "broken.toml"
    broken.touch()
    with pytest.raises(UsageError, match=r"did you mean '.*broken\.toml'\?; the named recipes are"):
        recipe.load(str(tmp_path / "brokn.toml"))
    broken.write_text("epochs = ")
    with pytest.raises(UsageError, match=r"broken\.toml is not a readable TOML file"):
        recipe.load(str(broken))


def test_the_learning_rate_follows_the_batch_size_unless_it_is_given():
    modern = recipe.load("modern")
    doubled = recipe.scaled(modern, batch_size=2 * modern.batch_size)
    assert doubled.optimizer.lr == 2 * modern.optimizer.lr
    assert recipe.scaled(modern, batch_size=8, lr=0.3).optimizer.lr == 0.3
    assert recipe.scaled(modern, epochs=2).epochs == 2
    assert recipe.scaled(modern) == modern
    with pytest.raises(UsageError, match="--lr is 0"):
        recipe.scaled(modern, lr=0)
