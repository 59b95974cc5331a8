"""Fills the catalog up to N tables with renamed copies of the specs, to see that start-up does not grow with it.

  python tests/backend/many_specs.py 800 && cargo build --release; rm -r src/tables/aws/many
"""
import pathlib
import sys

TABLES = pathlib.Path(__file__).resolve().parents[2] / "src/tables"


def main(wanted):
    specs = sorted(p for p in TABLES.rglob("*.yaml") if not p.name.startswith("_"))
    folder = TABLES / "aws/many"
    folder.mkdir()
    for number in range(wanted - len(specs)):
        spec, copy = specs[number % len(specs)], number // len(specs)
        name = f"{spec.stem}_{copy}"
        (folder / f"{name}.yaml").write_text(spec.read_text().replace(f"table: {spec.stem}\n", f"table: {name}\n", 1))


if __name__ == "__main__":
    main(int(sys.argv[1]))
