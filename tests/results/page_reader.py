"""A report as a reader sees it: text and tables, parsed from the HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from results.study_folder import StudyFolder

from llenergymeasure.results.report.page import render

VOID = {"meta", "link", "img", "br", "input", "hr"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str | None]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join("".join(parts).split())

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """Descendants of that tag whose attributes hold these words (class_ for class)."""
        nodes = []
        for child in self.children:
            if isinstance(child, Node):
                wanted = {name.rstrip("_"): value for name, value in attributes.items()}
                if child.tag == tag and all(
                    value in (child.attributes.get(name) or "").split() for name, value in wanted.items()
                ):
                    nodes.append(child)
                nodes += child.all(tag, **attributes)
        return nodes

    def section(self, name: str) -> Node:
        (node,) = self.all("section", id=name)
        return node

    def table(self) -> list[list[str]]:
        """Cells of all rows of the first table below."""
        return self.tables()[0]

    def tables(self) -> list[list[list[str]]]:
        """Cells of all rows of every table below."""
        return [
            [[cell.text for cell in row.children if isinstance(cell, Node)] for row in table.all("tr")]
            for table in self.all("table")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("root", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"<{self._open[-1].tag}> is closed by </{tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read_page(html: str) -> Node:
    """The page as a tree; fails where tags are not nested properly."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader._open) == 1
    return reader.root


def page_from_folder(folder: StudyFolder) -> Node:
    """The report of a study's folder, written, aggregated and read."""
    return read_page(render(folder.results()))
