"""The results as docs/performance.md."""
import datetime
import os
import pathlib
import platform

import contenders

TITLES = {
    "keys": ("The keys of all users", "One call for a page of 1,000 users, then one per user, at most 32 at a time."),
    "bucket": ("Behind a token bucket", "Of which nobody is told; over it, the fake answers `Throttling`."),
    "stale": ("Old keys", "`where status = 'Active' and create_date <= current_date - interval '90 days'`"),
    "estate": ("A whole benchmark", "moto behind the counting proxy; its own time is part of the time."),
}


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def seconds(value):
    return "" if value is None else f"{value:.2f} s" if value < 100 else f"{value:,.0f} s"


def table(result):
    ours = next((r.wall for r in result.rows if r.who.startswith("assay") and r.wall), None)
    yield "| | calls | throttled | wall | of the floor | of assay's time | CPU | peak memory |"
    yield "|---|---|---|---|---|---|---|---|"
    for r in result.rows:
        if r.wall is None:
            yield f"| {r.who} | {r.note} | | | | | | |"
            continue
        floor = f"{r.wall / result.floor:.2f} ×" if result.floor else ""
        ratio = f"{r.wall / ours:.1f} ×" if ours else ""
        own = "" if r.cpu is None else f"{r.cpu:.2f} s"
        memory = "" if r.memory is None else f"{r.memory:.0f} MB"
        note = f" ({r.note})" if r.note else ""
        yield f"| {r.who}{note} | {r.calls:,} | {r.throttled or ''} | {seconds(r.wall)} | {floor} | {ratio} | {own} | {memory} |"


def profile(binary):
    return "release" if "debug" not in pathlib.Path(binary).parts else "debug"


def render(results):
    lines = [
        "# Performance", "",
        "Written by `python3 benches/run.py`, which sets itself up and measures again; edits are lost.", "",
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {cpu()}, {os.cpu_count()} cores shared with the fakes of AWS that answer. "
        f"{'; '.join(contenders.versions(results.binary))}; assay built in the {profile(results.binary)} profile.", "",
        "The floor is what no client gets below: calls × latency / 32 calls under way, or the time that the bucket takes to fill. The fakes are Python, "
        "and need a part of a millisecond per call themselves. Calls are what the servers counted, retries included.", "",
    ]
    last = None
    for result in results:
        if result.case != last:
            title, text = TITLES[result.case]
            lines += [f"## {title}", "", text, ""]
            last = result.case
        floor = f", floor {seconds(result.floor)}" if result.floor else ""
        lines += [f"### {result.title}{floor}", ""]
        lines += [result.explanation, ""] if result.explanation else []
        lines += [*table(result), ""]
    return "\n".join(lines)
