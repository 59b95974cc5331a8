"""The fakes of AWS, as child processes on free ports of this machine; they count what they are asked."""
import contextlib
import json
import pathlib
import subprocess
import sys
import urllib.request

BACKEND = pathlib.Path(__file__).resolve().parents[1] / "tests" / "backend"


class Server:
    def __init__(self, url, truth=None):
        self.url, self.truth = url, truth

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(self.url + path, method=method, data=b"" if method == "POST" else None)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def reset(self):
        self._ask("/__reset", "POST")

    def configure(self, query):
        self._ask(f"/__config?{query}", "POST")

    def counts(self):
        """Calls, and how many of them were throttled."""
        stats = self._ask("/__stats")
        if "requests" in stats:
            return stats["requests"], stats["faults"].get("rate_limit", 0)
        return stats["total"], sum(stats["throttled"].values())


@contextlib.contextmanager
def child(script, *options):
    process = subprocess.Popen([sys.executable, str(BACKEND / script), *map(str, options)], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{script} ended before it was ready")
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def fast_iam(folder, *options):
    truth = pathlib.Path(folder) / "truth.json"
    with child("fast_iam.py", "--truth", truth, *options) as ready:
        yield Server(f"http://127.0.0.1:{ready['port']}", json.loads(truth.read_text()))


@contextlib.contextmanager
def estate(latency_ms):
    """Three accounts of an organization behind the counting proxy: (server, ids of the accounts)."""
    with child("estate.py", "--accounts", 3, "--users", 25, "--seed", 7) as upstream:
        with child("chaos_proxy.py", "--upstream", upstream["ready"], "--latency-ms", latency_ms) as ready:
            yield Server(ready["ready"]), upstream["accounts"]
