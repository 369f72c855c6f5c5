"""Pages of docs that runs write into: between two marks, so that what people wrote around them stays as it is."""

from pathlib import Path


def put(page: Path, text: str, begin: str, end: str) -> None:
    """Replace what stands between the marks, which the page must have."""
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
