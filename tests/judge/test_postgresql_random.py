"""Random statements over random rows: assay answers what PostgreSQL answers.

    python -m pytest tests/judge/test_postgresql_random.py                               the seeds of every run
    ASSAY_RANDOM_SECONDS=600 python -m pytest tests/judge/test_postgresql_random.py     and then seeds that nobody tried, for so long
    python tests/judge/test_postgresql_random.py --seed 7 --count 2000 [--out FILE]      finds, made small, one after the other

A batch is a seed; its statements, and so a find, are made again by the same seed. What tests/sql/differences.txt lists is not made.
"""
import argparse
import itertools
import os
import pathlib
import random
import sys
import tempfile
import time

import pytest

from conftest import BIN
from random_sql.engines import Assay, PostgreSQL
from random_sql.shrink import cases, is_known, shrunk
from random_sql.statements import Statements

import make_differences

BATCH = 60
# Those of every run.
SEEDS = range(60000, 60012)


def statements(seed, count=BATCH):
    """The statements of a seed."""
    made = Statements(random.Random(seed), frozenset(make_differences.texts()))
    return [made.statement() for _ in range(count)]


def finds(seed, postgresql, assay, count=BATCH):
    """(cases of a seed, those that differ)."""
    done = cases(statements(seed, count), postgresql, assay)
    return done, [case for case in done if case.kind and not is_known(case.kind, make_differences.texts())]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    with PostgreSQL() as postgresql:
        yield postgresql, Assay(BIN, tmp_path_factory.mktemp("home"))


def fresh(seconds):
    """Seeds that nobody tried, for so long."""
    seed = random.SystemRandom().randrange(10**6, 10**9)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield seed
        seed += 1


def test_random_statements_have_postgresqls_answers(engines):
    # Fresh seeds still find something in about one of two thousand statements: in every run are seeds that found nothing.
    count = answered = 0
    for seed in itertools.chain(SEEDS, fresh(float(os.environ.get("ASSAY_RANDOM_SECONDS", 0)))):
        done, different = finds(seed, *engines)
        count += len(done)
        answered += sum(case.postgresql.error is None for case in done)
        shown = [f"seed {seed}: {shrunk(case, *engines)}" for case in different[:3]]
        assert not shown, f"{len(different)} of {len(done)} statements differ; the first ones, made small:\n\n" + "\n\n".join(shown)
    # A generator that makes nonsense would find nothing.
    assert count >= BATCH and answered > count * 0.7, f"only {answered} of {count} statements were answered by PostgreSQL"


def test_a_difference_is_found_and_made_small(engines):
    """The machinery itself: an engine that is wrong in one function is found out, and the find is small."""
    postgresql, assay = engines

    class Wrong:
        def one_by_one(self, texts):
            return assay.one_by_one([text.replace("lower(", "upper(") for text in texts])

        def answers(self, texts):
            return list(self.one_by_one(texts))

    made = Statements(random.Random(6), frozenset(make_differences.texts()))
    wrong = [s for s in (made.statement() for _ in range(1500)) if "lower(" in str(s)]
    found = [case for case in cases(wrong, postgresql, Wrong()) if case.kind == "rows"]
    small = str(shrunk(found[0], postgresql, Wrong()).statement)
    assert "lower(" in small and len(small) < 200, small


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000, help="statements")
    parser.add_argument("--out", type=pathlib.Path, help="finds are written here, too")
    parser.add_argument("--raw", action="store_true", help="do not make them small")
    parser.add_argument("--kinds", type=int, default=2, help="of each kind of difference, how many finds are shown")
    parser.add_argument("--binary", default=BIN)
    options = parser.parse_args()
    kinds, total, answered, different = {}, 0, 0, 0
    with PostgreSQL() as postgresql, tempfile.TemporaryDirectory() as home:
        assay = Assay(options.binary, home)
        for seed in range(options.seed, options.seed + (options.count + BATCH - 1) // BATCH):
            done, found = finds(seed, postgresql, assay)
            total, different, answered = total + len(done), different + len(found), answered + sum(case.postgresql.error is None for case in done)
            for case in found:
                kinds[case.kind] = kinds.get(case.kind, 0) + 1
                if kinds[case.kind] > options.kinds:
                    continue
                text = f"seed {seed}: {case if options.raw else shrunk(case, postgresql, assay)}\n"
                print(text, flush=True)
                if options.out:
                    with options.out.open("a") as out:
                        out.write(text + "\n")
            print(f"seed {seed}: {total} statements, {answered} answered by PostgreSQL, {different} differ", file=sys.stderr, flush=True)
    for kind, number in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{number:6} {kind}")


if __name__ == "__main__":
    main()
