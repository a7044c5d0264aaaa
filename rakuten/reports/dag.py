"""The picture of the pipeline, drawn from `dvc.yaml`: `python -m rakuten.reports.dag write`.

Layers from left to right, each stage one layer after the last stage that it reads from. A way that
another way implies is left out: `evaluate` reads what `split` wrote, and is reached through models
that do.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from html import escape

from rakuten import storage
from rakuten.reports import readme

PICTURE = "docs/pipeline.svg"

DATA = "data.dvc"
"""The node that stands for everything below data/."""

KINDS = {
    "data": ("#f2f2f2", "#6b6b6b", "raw data"),
    "prepare": ("#e3f0f9", "#0072b2", "prepares"),
    "model": ("#e0f3ec", "#009e73", "makes a model"),
    "report": ("#fbeee2", "#d55e00", "reports"),
}
"""Fill, line and caption of each kind of node."""

WIDTH, HEIGHT = 116, 34  # of a box
GAP_X, GAP_Y = 62, 20
MARGIN, LEGEND = 16, 44

Edges = set[tuple[str, str]]


def graph(stages: Mapping[str, Mapping]) -> tuple[dict[str, str], Edges]:
    """Find which stage reads what another one writes.

    Args:
        stages: The section of that name in `dvc.yaml`.

    Returns:
        The kind of each node by name, and the ways from one to another, none implied by others.
    """
    outs = {name: list(_outs(stage)) for name, stage in stages.items()}
    kinds = {DATA: "data"} | {name: _kind(name, paths) for name, paths in outs.items()}
    edges = {
        (maker, name)
        for name, stage in stages.items()
        for dep in stage.get("deps", [])
        for maker, paths in {DATA: ["data"], **outs}.items()
        if any(_touch(dep, path) for path in paths)
    }
    return kinds, reduced(edges)


def reduced(edges: Edges) -> Edges:
    """Leave out every way that a longer one implies."""

    def reaches(start: str, end: str) -> bool:
        waiting = [b for a, b in edges if a == start and b != end]
        seen = set()
        while waiting:
            node = waiting.pop()
            if node == end:
                return True
            if node not in seen:
                seen.add(node)
                waiting += [b for a, b in edges if a == node]
        return False

    return {(a, b) for a, b in edges if not reaches(a, b)}


def layers(nodes: Iterable[str], edges: Edges) -> list[list[str]]:
    """Put nodes into layers and order each so that few ways cross.

    A way over several layers passes through a place of its own in each, named `a>b>layer`.

    Args:
        nodes: Names, in the order that decides between equals.
        edges: Pairs of names, without a cycle.

    Returns:
        Names layer by layer.
    """
    depth: dict[str, int] = {}

    def place(node: str) -> int:
        if node not in depth:
            depth[node] = max((place(a) + 1 for a, b in edges if b == node), default=0)
        return depth[node]

    found: list[list[str]] = [[] for _ in range(max(map(place, nodes)) + 1)]
    for node in nodes:
        found[depth[node]].append(node)
    hops: Edges = set()
    for a, b in sorted(edges):
        path = [f"{a}>{b}>{layer}" for layer in range(depth[a] + 1, depth[b])]
        for name in path:
            found[int(name.rpartition(">")[2])].append(name)
        hops |= set(zip([a, *path], [*path, b], strict=True))
    for sweep in range(24):
        forward = sweep % 2 == 0
        for number in range(1, len(found)) if forward else range(len(found) - 2, -1, -1):
            beside = found[number - 1 if forward else number + 1]
            found[number].sort(key=lambda node, b=beside, f=forward: _middle(node, b, hops, f))
    return found


def _middle(node: str, beside: list[str], hops: Edges, forward: bool) -> float:
    """Find the mean place of a node's neighbours in the layer beside it, in 0..1."""
    places = [
        (position + 0.5) / len(beside)
        for position, other in enumerate(beside)
        if ((other, node) if forward else (node, other)) in hops
    ]
    return sum(places) / len(places) if places else 0.5


def draw(kinds: Mapping[str, str], edges: Edges) -> str:
    """Draw the graph as SVG.

    Args:
        kinds: The kind of each node, one of `KINDS`.
        edges: Pairs of names.

    Returns:
        The file's text.
    """
    order = layers(list(kinds), edges)
    tallest = max(map(len, order))
    height = 2 * MARGIN + LEGEND + tallest * (HEIGHT + GAP_Y) - GAP_Y
    width = 2 * MARGIN + len(order) * (WIDTH + GAP_X) - GAP_X
    places = {
        node: (
            MARGIN + layer * (WIDTH + GAP_X),
            MARGIN + (tallest - len(nodes)) * (HEIGHT + GAP_Y) / 2 + row * (HEIGHT + GAP_Y),
        )
        for layer, nodes in enumerate(order)
        for row, node in enumerate(nodes)
    }
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        "<title>The stages of dvc.yaml and what they read from one another</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a8a8a"/></marker></defs>',
    ]
    lines += [_way(a, b, places) for a, b in sorted(edges)]
    for node, kind in kinds.items():
        lines.append(_box(node, *places[node], kind))
    x = MARGIN
    for fill, line, caption in KINDS.values():
        y = height - MARGIN - 14
        lines.append(
            f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{fill}" stroke="{line}"/>'
            f'<text x="{x + 20}" y="{y + 12}" fill="#222222">{caption}</text>'
        )
        x += 150
    return "\n".join([*lines, "</svg>"]) + "\n"


def _box(node: str, x: float, y: float, kind: str) -> str:
    fill, line, _ = KINDS[kind]
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{fill}" '
        f'stroke="{line}" stroke-width="1.5"/><text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2:g}" '
        f'fill="#222222" text-anchor="middle" dominant-baseline="central">{escape(node)}</text>'
    )


def _way(a: str, b: str, places: Mapping[str, tuple[float, float]]) -> str:
    """Draw a way through its places, level inside a layer, bent between layers."""
    between = [name for name in places if name.startswith(f"{a}>{b}>")]
    stops = [a, *sorted(between, key=lambda name: places[name]), b]
    x, y = places[a][0] + WIDTH, places[a][1] + HEIGHT / 2
    path = f"M{x:g} {y:g}"
    for stop in stops[1:]:
        left, level = places[stop][0], places[stop][1] + HEIGHT / 2
        bend = (left - x) / 2
        path += f"C{x + bend:g} {y:g} {left - bend:g} {level:g} {left:g} {level:g}"
        x, y = left + (WIDTH if stop != b else 0), level
        path += f"H{x:g}" if stop != b else ""
    return (
        f'<path d="{path}" fill="none" stroke="#8a8a8a" stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _outs(stage: Mapping) -> Iterable[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in stage.get(kind, []):
            yield next(iter(out)) if isinstance(out, dict) else out


def _kind(name: str, outs: list[str]) -> str:
    if f"build/{name}/outputs.npz" in outs:
        return "model"
    return "report" if all(path.startswith("reports/") for path in outs) else "prepare"


def _touch(dep: str, out: str) -> bool:
    """Tell whether one path is the other or lies below it."""
    return f"{dep}/".startswith(f"{out}/") or f"{out}/".startswith(f"{dep}/")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: `python -m rakuten.reports.dag write|check`."""
    parser = argparse.ArgumentParser(prog="python -m rakuten.reports.dag", description=__doc__)
    parser.add_argument("action", choices=["write", "check"])
    action = parser.parse_args(arguments).action
    stages = storage.read_yaml("dvc.yaml")["stages"]
    return readme.write_or_check({PICTURE: draw(*graph(stages))}, action)


if __name__ == "__main__":
    sys.exit(main())
