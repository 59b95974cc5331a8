"""What the tests of key rotation share: the scripted account, assay's commands on it, and what must always be true of it."""
import json
import os
import pathlib
import subprocess
import time
import urllib.request

from conftest import BACKEND, BIN, CREDENTIALS, child

OPERATOR = CREDENTIALS["AWS_ACCESS_KEY_ID"]


class Account:
    """A running tests/backend/rotating.py and a folder for assay's state."""

    def __init__(self, url, folder):
        self.url, self.folder, self.state = url, folder, folder / "state"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true", "ASSAY_STATE_DIR": str(self.state),
                    "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **CREDENTIALS}
        self.secrets = set()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=30) as answer:
            return json.load(answer)

    def seed(self, *users):
        return self.ask("/__seed", list(users))

    def touch(self, **what):
        self.ask("/__touch", what)

    def script(self, *faults, propagation=0):
        self.ask("/__script", {"faults": list(faults), "propagation": propagation})

    def truth(self):
        truth = self.ask("/__truth")
        # every secret that ever was: none of them may turn up anywhere
        self.secrets |= {k["secret"] for u in truth["users"].values() for k in u["keys"].values()}
        return truth

    def keys(self, user):
        return {key: about["status"] for key, about in self.truth()["users"][user]["keys"].items()}

    def stored(self, name):
        """What Secrets Manager gives a consumer: the document of AWSCURRENT, or None."""
        versions = self.truth()["secrets"].get(name, {}).values()
        return next((json.loads(v["value"]) for v in versions if "AWSCURRENT" in v["stages"] and v["value"]), None)

    def calls(self, action=None):
        return [c for c in self.ask("/__calls") if action in (None, c["action"])]

    def assay(self, *args, env=None, stdin=None, timeout=120):
        done = subprocess.run([BIN, *map(str, args)], env=self.env | (env or {}), capture_output=True, text=True, timeout=timeout, input=stdin, cwd=self.folder)
        assert "panicked" not in done.stderr and done.returncode not in (70, 101), done.stderr
        return done

    def start(self, *args):
        return subprocess.Popen([BIN, *map(str, args)], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)

    def rotate(self, verb, *args, **more):
        return self.assay("rotate", verb, *args, **more)

    def plan(self, *args, grace="0", settle="0", sink="secretsmanager:assay/{user}"):
        done = self.rotate("plan", "--out", "plan.yaml", "--grace", grace, "--settle", settle, "--sink", sink, "-o", "json", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run_id(self):
        return max(self.journals(), key=lambda path: path.stat().st_mtime_ns).stem

    def journals(self):
        return sorted((self.state / "rotations").glob("*.jsonl"))

    def wait_held(self, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            held = self.ask("/__held")
            if held:
                return held
            time.sleep(0.02)
        return None

    def no_secret_in(self, *texts):
        """No secret that the account ever had stands in these texts or in any file of the folder."""
        self.truth()
        found = [p for p in pathlib.Path(self.folder).rglob("*") if p.is_file()]
        for name, text in [*((str(i), t) for i, t in enumerate(texts)), *((str(p), p.read_text(errors="replace")) for p in found)]:
            for secret in self.secrets:
                assert secret not in text, f"a secret stands in {name}"


def works_for_somebody(account, user, old, sink="assay/{user}"):
    """The one thing that must never be false: a consumer of this user has a working key, the old one or the one that the sink gives."""
    keys = account.keys(user)
    if keys.get(old) == "Active":
        return True
    document = account.stored(sink.format(user=user))
    if document is None or keys.get(document["aws_access_key_id"]) != "Active":
        return False
    secret = account.truth()["users"][user]["keys"][document["aws_access_key_id"]]["secret"]
    return document["aws_secret_access_key"] == secret


def start_account(folder):
    """A context manager: an account on a free port."""
    class Started:
        def __enter__(self):
            self.inner = child(BACKEND / "rotating.py")
            return Account(self.inner.__enter__()["ready"], folder)

        def __exit__(self, *args):
            return self.inner.__exit__(*args)
    return Started()
