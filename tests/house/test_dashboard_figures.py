"""The dashboard's table of figures is the domain's, each figure has its texts in each language, and the layout names what there is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT

SOURCES = ROOT / "stream_app" / "dashboard" / "src"
FIGURES, LAYOUT = (json.loads((SOURCES / f"{name}.json").read_text()) for name in ("figures", "layout"))
TEXTS = {language: json.loads((SOURCES / f"strings.{language}.json").read_text()) for language in ("en", "zh")}
TILES = LAYOUT["mainTiles"] + LAYOUT["minorTiles"]
WITHOUT_SIGN = {"money", "count", "ratio"}  # money has the currency's, the others none
OF_A_VALUE = {"known", "whole", "share"}


def keys(figure):
    """The texts that a figure needs wherever it stands."""
    name, kind, unit = figure["name"], figure["kind"], figure["unit"]
    things = [f"{name}.one", f"{name}.other"] if kind in {"count", "customers"} else []
    return [name, *things, *([] if unit in WITHOUT_SIGN else [f"unit.{unit}"])]


def missing(figures, texts):
    return [key for figure in figures for key in keys(figure) if not texts.get(key)]


def test_the_file_is_the_domains_table():
    subprocess.run([sys.executable, ROOT / "docs" / "dashboard_figures.py", "--check"], check=True, cwd=Path("/"))


@pytest.mark.parametrize("language", TEXTS)
def test_every_figure_has_its_texts(language):
    assert missing(FIGURES, TEXTS[language]) == []


def test_a_figure_without_texts_would_be_found():
    figure = {"name": "plugCount", "kind": "count", "unit": "m²"}
    assert missing([*FIGURES, figure], TEXTS["en"]) == ["plugCount", "plugCount.one", "plugCount.other", "unit.m²"]


def test_the_layout_names_figures_and_texts_that_there_are():
    names = {figure["name"] for figure in FIGURES}
    drawn = [[bar["figure"] for bar in chart["bars"]] for chart in LAYOUT["charts"]]
    assert {tile["figure"] for tile in TILES} | {name for bars in drawn for name in bars} <= names
    assert {name for tile in TILES for name in tile.get("whole", [])} <= names
    needed = {tile[key] for tile in TILES for key in ("title", "from", "none") if key in tile}
    needed |= {chart["title"] for chart in LAYOUT["charts"]}
    needed |= {f"{name}Is" for name in [tile["figure"] for tile in TILES] + [bars[0] for bars in drawn]}
    for texts in TEXTS.values():
        assert needed <= set(texts)
        for tile in TILES:
            assert set(re.findall(r"\{(\w+)\}", texts[tile["from"]])) <= names | OF_A_VALUE


def test_figures_of_a_chart_have_one_unit_and_one_basis():
    by_name = {figure["name"]: figure for figure in FIGURES}
    for chart in LAYOUT["charts"]:
        drawn = [by_name[bar["figure"]] for bar in chart["bars"]]
        assert len({(figure["unit"], figure["perCurrency"]) for figure in drawn}) == 1, chart["id"]
        assert len({bar["shade"] for bar in chart["bars"]}) == len(drawn), chart["id"]
