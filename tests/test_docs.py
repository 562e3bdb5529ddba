"""Whether the pages say what there is."""

from pathlib import Path

from edgekd.models.registry import SYSTEMS

DOCS = Path(__file__).parents[1]


def test_the_page_of_systems_names_every_system_and_setting():
    page = (DOCS / "docs" / "systems.md").read_text()
    assert "`--teacher NAME`" in page
    assert "`--set NAME=VALUE`" in page
    for system in SYSTEMS.values():
        assert system.name in page
        for name in system.settings():
            assert f"`{name}`" in page, (system.name, name)


def test_every_system_has_its_export_recipe_and_its_row_in_the_readme():
    table = (DOCS / "README.md").read_text().partition("## Systems")[2].partition("##")[0]
    for system in SYSTEMS.values():
        assert f"| {system.title} |" in table
        assert (DOCS / "export" / f"{system.name}.toml").is_file()
