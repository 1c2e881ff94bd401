"""Command lines from dataclasses: a verb's own arguments, and the recipe's settings as nested flags.

    arguments = parse("demo", Arguments, argv)
    arguments, config = parse_recipe("ppo", Arguments, argv, sections=("text", "run", "ppo"))
    VERB = TrainingVerb("ppo", Arguments, sections=("text", "run", "ppo"), inputs=Inputs(models=("policy",)), train=_train)

A flag is a field of the dataclass, its help the docstring under the field, its default the field's or the recipe's.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

import tyro

from instructloop.cli.inputs import Inputs
from instructloop.cli.refusals import mistyped, refuse_unknown_flags
from instructloop.config import Config
from instructloop.errors import ConfigError

Arguments = TypeVar("Arguments")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What every verb that trains is asked beside its inputs."""

    out: Path
    """Run folder; if it holds the same run, unfinished, the run goes on where it stopped."""
    allow_inexact: bool = False
    """Go on even where library versions or threads differ from those the run began with, without bit-equality."""


@dataclass(frozen=True)
class TrainingVerb(Generic[Arguments]):
    """A verb that trains one model: what it is asked, the settings it reads, and how it is run."""

    name: str
    arguments: type[Arguments]
    sections: tuple[str, ...]
    inputs: Inputs
    train: Callable[[Arguments, Config], Path]
    """Train, and return the folder of the model."""
    stages: tuple[str, ...] = ()
    """Sections of which `--stage` chooses the one that is read; the first unless told."""

    def sections_read(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The sections of the config that this line is about: flags of another stage would change nothing, and are refused."""
        words = [part for word in argv for part in word.split("=", 1)]
        chosen = [after for word, after in pairwise(words) if word == "--stage"] or self.stages
        return tuple(section for section in self.sections if section not in self.stages or section == chosen[0])

    def parse(self, argv: Sequence[str]) -> tuple[Arguments, Config]:
        """The arguments and the config of one command line."""
        return parse_recipe(self.name, self.arguments, argv, sections=self.sections_read(argv))

    def run(self, argv: Sequence[str]) -> None:
        """Look at the inputs, train, and print where the model is."""
        asked, config = self.parse(argv)
        self.inputs.require(asked)
        print(self.train(asked, config))


def parse(verb: str, arguments: type[Arguments], argv: Sequence[str]) -> Arguments:
    """The arguments of a verb without a recipe; a mistake prints the nearest flag and exits with code 2."""
    refuse_unknown_flags(argv, known_flags(arguments), verb=verb)
    return tyro.cli(arguments, prog=f"instructloop {verb}", args=argv, config=(tyro.conf.DisallowNone,))


def parse_recipe(verb: str, arguments: type[Arguments], argv: Sequence[str], *, sections: Sequence[str]) -> tuple[Arguments, Config]:
    """The arguments of `instructloop VERB RECIPE ...` and the recipe's config with the flags applied.

    `sections` are the fields of `Config` that the verb reads; only these become flags, e.g. `--ppo.kl.coef 0.02`.
    """
    name, rest = _recipe_name(verb, arguments, argv)
    recipe = _recipes()[name]()
    asked, place = with_sections(arguments, recipe, sections), f"{verb} {name}"
    refuse_unknown_flags(rest, known_flags(asked), verb=place)
    parsed = tyro.cli(asked, prog=f"instructloop {place}", args=rest, config=(tyro.conf.DisallowNone,))
    return parsed, dataclasses.replace(recipe, **{section: getattr(parsed, section) for section in sections})


def known_flags(arguments: type[Any], prefix: str = "") -> Iterator[str]:
    """Every flag that tyro makes of the fields of a dataclass, and of the dataclasses in it."""
    if not prefix:
        yield "--help"
    hints = get_type_hints(arguments, include_extras=True)
    for field in dataclasses.fields(arguments):
        hint = hints[field.name]
        markers: Sequence[Any] = getattr(hint, "__metadata__", ())
        if tyro.conf.Positional in markers:
            continue
        given = [marker.name for marker in markers if getattr(marker, "name", None) is not None]
        name = ".".join(filter(None, (prefix, given[0] if given else field.name.replace("_", "-"))))
        kind = hint.__origin__ if markers else hint
        if dataclasses.is_dataclass(kind):
            yield from (flag for flag in known_flags(kind, name) if flag != "--help")  # pyright: ignore[reportArgumentType] (a class, not an instance)
        else:
            yield f"--{name}"
            if kind is bool:
                start, _, last = name.rpartition(".")
                yield f"--{start}.no-{last}" if start else f"--no-{last}"


def _recipe_name(verb: str, arguments: type[Any], argv: Sequence[str]) -> tuple[str, list[str]]:
    recipes, usage = _recipes(), f"instructloop {verb} RECIPE [...]"
    if not argv:
        raise ConfigError("no recipe is given", expected=f"{usage} with one of {', '.join(recipes)}", remedy=f"see `instructloop {verb} --help`")
    name, *rest = argv
    if name in ("-h", "--help"):
        print(_recipe_overview(verb, usage, arguments))
        raise SystemExit(0)
    if name.startswith("-"):
        raise ConfigError(f"{name!r} stands where the recipe belongs", expected=usage, remedy="put the recipe's name before the flags")
    if name not in recipes:
        raise mistyped("recipe", name, recipes, see=f"instructloop {verb} --help")
    return name, rest


def _recipe_overview(verb: str, usage: str, arguments: type[Any]) -> str:
    recipes = _recipes()
    width = max(map(len, recipes)) + 2
    lines = "\n".join(f"  {name:{width}}{(recipe.__doc__ or '').strip().splitlines()[0]}" for name, recipe in recipes.items())
    first = next(iter(recipes))
    hint = f"`instructloop {verb} {first} --help` explains these and lists every setting, with that recipe's values."
    return f"usage: {usage}\n\n{arguments.__doc__}\n\nrecipes:\n{lines}\n\n{_flag_overview(arguments)}\n\n{hint}"


def _flag_overview(arguments: type[Any]) -> str:
    """The flags of a verb beside its settings: those that must be given, then the others."""
    fields = dataclasses.fields(arguments)
    rows = {
        "needed:  ": [field.name for field in fields if field.default is dataclasses.MISSING],
        "optional:": [field.name for field in fields if field.default is not dataclasses.MISSING],
    }
    return "\n".join(f"{title} " + " ".join("--" + name.replace("_", "-") for name in names) for title, names in rows.items() if names)


def _recipes() -> Any:
    from instructloop.recipes import RECIPES

    return RECIPES


def with_sections(arguments: type[Arguments], recipe: Config, sections: Sequence[str]) -> type[Arguments]:
    """`arguments` with one more field per section, whose default is the recipe's."""
    types = get_type_hints(Config)
    fields = [(name, types[name], dataclasses.field(default=getattr(recipe, name), kw_only=True)) for name in sections]
    extended = dataclasses.make_dataclass(arguments.__name__, fields, bases=(arguments,), frozen=True)
    extended.__doc__ = arguments.__doc__
    return extended
