"""A page for each shelf, and one of published weights: all from the declarations."""

from __future__ import annotations

from collections.abc import Iterator

from slmkit.api import CONTRACT_OF_KIND, KINDS, MisfitError
from slmkit.cli.show import facts_of, options_of
from slmkit.host import Shelved, host
from website.markup import cell, code, linked, table

OWN = "slmkit"
TITLES = {
    "corpus": "Corpora",
    "text": "Text tokenizers",
    "tokenizer": "Speech tokenizers",
    "decoding": "Decoding strategies",
    "speaker-encoder": "Speaker encoders",
}
GIVEN = ("weights", "model", "kmeans", "config")
"""Options that name published files."""
HIDDEN = ("status", "from", "target", "licence", "weights", "source")
"""Facts that stand elsewhere on the page, or are of the machine that builds it."""

INDEX = """# Shelves

Every part that comes with slmkit, by its kind. `slmkit list` shows the same, with what strangers'
packages add and what each part still needs; `slmkit show NAME` tells of one. Files that others
have published are listed under [published weights](weights.md).

"""
WEIGHTS = """# Published weights

slmkit brings no weights of others and fetches none unasked. An option that names a hub id reads
the cache of `huggingface_hub`, or fetches where there is a network; a path is a file or folder of
yours. On the command line options stand as `KEY=VALUE`, in a recipe beside `part:`, in Python as
keywords:

```sh
slmkit encode question.wav -t encodec weights=encodec_24khz.safetensors -o question.npz
```

```yaml
parts:
  tokenizer: {part: encodec, weights: encodec_24khz.safetensors}
```

Files are safetensors, or are opened with `weights_only=True`: no code of theirs runs. Where a file
was published as a pickle of objects (centroids by joblib), an option says that you trust it. The
licence is that of the weights, as their publisher states it.

"""


def shelf_pages() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every page about parts."""
    shelves = {kind: _own(kind) for kind in KINDS}
    yield "shelves/index.md", _index(shelves)
    for kind, parts in shelves.items():
        yield f"shelves/{kind}.md", _shelf(kind, parts)
    yield "shelves/weights.md", _weights([part for parts in shelves.values() for part in parts])


def title_of_kind(kind: str) -> str:
    """The name of a shelf."""
    return TITLES.get(kind, f"{kind.replace('-', ' ').capitalize()}s")


def _own(kind: str) -> list[Shelved]:
    return [part for part in host().parts(kind) if part.distribution == OWN]


def _index(shelves: dict[str, list[Shelved]]) -> str:
    rows = [
        [
            f"[{title_of_kind(kind)}]({kind}.md)",
            ", ".join(f"[`{part.name}`]({kind}.md#{part.name})" for part in parts),
        ]
        for kind, parts in shelves.items()
    ]
    return INDEX + table(["shelf", "parts"], rows)


def _shelf(kind: str, parts: list[Shelved]) -> str:
    contract = CONTRACT_OF_KIND.get(kind)
    about = f"`slmkit list {kind}` lists them."
    if contract is not None:
        name, home = contract.__name__, contract.__module__
        about += f" One of your own derives from [`slmkit.api.{name}`][{home}.{name}]."
    else:
        about += " A stage of your own is a function `(options, context)`; see "
        about += "[`slmkit.api.StageContext`][slmkit.api.contracts.StageContext]."
    rows = [[f"[`{part.name}`](#{part.name})", cell(part.declaration.summary)] for part in parts]
    return "\n\n".join(
        [f"# {title_of_kind(kind)}", about, table(["name", "what"], rows), *map(_part, parts)]
    )


def _part(part: Shelved) -> str:
    """A part: what it is, what it can, its options."""
    declaration = part.declaration
    facts = {k: v for k, v in facts_of(host(), part).items() if v and k not in HIDDEN}
    lines = [
        ["source", linked(cell(declaration.source))] if declaration.source else None,
        ["licence", cell(declaration.licence)],
        ["licence of weights", cell(declaration.weights_licence)],
        ["extra", code(f"pip install '{OWN}[{declaration.extra}]'") if declaration.extra else ""],
        *([name, cell(value)] for name, value in facts.items()),
        ["class" if part.kind != "stage" else "function", code(declaration.target)],
    ]
    rows = [line for line in lines if line is not None and line[1]]
    options = [
        [code(name), code(kind), code(default) if default != "required" else "required", cell(text)]
        for name, kind, default, text in options_of(part)
    ]
    return "\n\n".join(
        [
            f"## {part.name} {{: #{part.name} }}",
            _sentence(declaration.summary),
            _figure(part),
            table(["", ""], rows),
            table(["option", "type", "default", "what"], options) if options else "No options.",
        ]
    )


def _sentence(text: str) -> str:
    return cell(text[:1].upper() + text[1:]) + ("" if text.endswith((".", "?")) else ".")


def _figure(part: Shelved) -> str:
    """Of a decoding strategy, the grid that it lays."""
    if part.kind != "decoding":
        return ""
    from slmkit.lm.example import draw_example

    try:
        drawn = draw_example(part.name).svg
    except MisfitError:
        return ""
    return f'<div class="figure">\n{drawn}</div>'


def _weights(parts: list[Shelved]) -> str:
    """What others have published and slmkit loads."""
    rows = []
    for part in parts:
        given = [row for row in options_of(part) if row[0] in GIVEN]
        if not given or part.kind == "stage":
            continue
        licence = part.declaration.weights_licence or part.declaration.licence
        rows.append(
            [
                f"[`{part.name}`]({part.kind}.md#{part.name})",
                "<br>".join(f"{code(name)}: {cell(text)}" for name, _, _, text in given),
                "<br>".join(code(default) for _, _, default, _ in given if default[:1] in "'\""),
                cell(licence),
                linked(cell(part.declaration.source)),
            ]
        )
    columns = ["part", "options that name files", "default", "licence", "source"]
    return WEIGHTS + table(columns, rows)
