"""Do the links of built pages lead somewhere? Files and anchors within the site; and nothing is loaded from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, unlike a link that a person follows.
LOADED = {
    "img": "src",
    "script": "src",
    "iframe": "src",
    "source": "srcset",
    "video": "src",
    "object": "data",
}
LOADED_LINKS = {"stylesheet", "icon", "preload", "manifest", "shortcut icon"}


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag's addresses and its name."""
        said = {name: value or "" for name, value in attrs}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        if tag == "link" and said.get("rel", "") in LOADED_LINKS:
            self.loads.append(said.get("href", ""))
        if address := said.get(LOADED.get(tag, ""), ""):
            self.loads.append(address)


def broken(site: Path) -> list[str]:
    """Look at every link of every page.

    Args:
        site: the folder of a built site.

    Returns:
        One sentence a link that leads nowhere, or a thing that is loaded from elsewhere; empty if all is well.
    """
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(site).as_posix()
        for address in page.loads:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                found.append(f"{where} loads {address} from elsewhere")
        for address in page.links + page.loads:
            if trouble := _trouble(site, path, address, pages):
                found.append(f"{where}: {address} {trouble}")
    return sorted(set(found))


def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _trouble(site: Path, path: Path, address: str, pages: dict[Path, Page]) -> str:
    """What is wrong with an address; empty if nothing, or if it leads out of the site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site.resolve()):
        return "leads out of the site's folder"
    if not target.is_file():
        return "is not there"
    anchor = unquote(parts.fragment)
    known = pages.get(target) or pages.get(site / target.relative_to(site.resolve()))
    return "is no place on that page" if anchor and known and anchor not in known.anchors else ""
