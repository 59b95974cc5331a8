"""What the tests of key rotation share: the scripted account, assay's commands on it, and what must always be true of it."""
import json
import os
import pathlib
import subprocess
import time
import urllib.request

from conftest import BACKEND, BIN, CREDENTIALS, child

OPERATOR = CREDENTIALS["AWS_ACCESS_KEY_ID"]


class Commands:
    """assay's commands in a folder of their own, with its state there."""

    def __init__(self, folder, env):
        self.folder, self.state = folder, folder / "state"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true", "ASSAY_STATE_DIR": str(self.state), **env}

    def assay(self, *args, env=None, stdin=None, timeout=120):
        done = subprocess.run([BIN, *map(str, args)], env=self.env | (env or {}), capture_output=True, text=True, timeout=timeout, input=stdin, cwd=self.folder)
        assert "panicked" not in done.stderr and done.returncode not in (70, 101), done.stderr
        return done

    def start(self, *args):
        return subprocess.Popen([BIN, *map(str, args)], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)

    def rotate(self, verb, *args, **more):
        return self.assay("rotate", verb, *args, **more)

    def journals(self):
        return sorted((self.state / "rotations").glob("*.jsonl"))

    def run_id(self):
        return max(self.journals(), key=lambda path: path.stat().st_mtime_ns).stem

    def none_of(self, secrets, *texts):
        """None of these secrets stands in these texts or in any file of the folder."""
        found = [p for p in pathlib.Path(self.folder).rglob("*") if p.is_file()]
        for name, text in [*((str(i), t) for i, t in enumerate(texts)), *((str(p), p.read_text(errors="replace")) for p in found)]:
            for secret in secrets:
                assert secret not in text, f"a secret stands in {name}"


class Account(Commands):
    """A running tests/backend/rotating.py, which stands for an AWS account."""

    def __init__(self, url, folder):
        super().__init__(folder, {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **CREDENTIALS})
        self.url = url
        self.secrets = set()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=30) as answer:
            return json.load(answer)

    def seed(self, *users):
        return self.ask("/__seed", list(users))

    def touch(self, **what):
        self.ask("/__touch", what)

    def script(self, *faults, **more):
        self.ask("/__script", {"faults": list(faults), **more})

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

    def plan(self, *args, grace="0", settle="0", sink="secretsmanager:assay/{user}"):
        done = self.rotate("plan", "--out", "plan.yaml", "--grace", grace, "--settle", settle, "--sink", sink, "-o", "json", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

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
        self.none_of(self.secrets, *texts)


class User:
    """A user with one old key, and a plan of its own."""

    def __init__(self, account, name, old, plan):
        self.account, self.name, self.old, self.plan = account, name, old, plan

    def keys(self):
        return self.account.keys(self.name)

    def document(self):
        return self.account.stored(f"assay/{self.name}")

    def delivered(self):
        """The key that the sink gives, with the right secret; None without one."""
        document, keys = self.document(), self.account.truth()["users"][self.name]["keys"]
        if document is None or document.get("aws_access_key_id") not in keys:
            return None
        key = document["aws_access_key_id"]
        return key if keys[key]["secret"] == document["aws_secret_access_key"] else None

    def works(self):
        """The one thing that must never be false: whoever works with the old key, and whoever works with what the sink gives, has a key that works."""
        keys = self.keys()
        return keys.get(self.old) == "Active" or keys.get(self.delivered()) == "Active"

    def is_rotated(self):
        new = self.delivered()
        return new not in (None, self.old) and self.keys() == {new: "Active"}

    def is_restored(self):
        """The old key and no other, and no secret of a key that is gone."""
        document = self.document()
        return self.keys() == {self.old: "Active"} and (document is None or "aws_access_key_id" not in document)


def users(account, *names, **more):
    """Makes users, plans for all of them in one go, and gives each a plan file of its own."""
    keys = account.seed(*[{"name": name, "keys": [{"age_days": 200, "used_days": 30}], **more} for name in names])
    plan = account.plan(*[word for name in names for word in ("--user", name)])
    made = []
    for item in plan["access_keys"]:
        path = account.folder / f"{item['user']}.yaml"
        path.write_text(json.dumps(plan | {"access_keys": [item]}))
        made.append(User(account, item["user"], keys[item["user"]][0], path))
    assert len(made) == len(names), plan["left_alone"]
    return made


def start_account(folder):
    """A context manager: an account on a free port."""
    class Started:
        def __enter__(self):
            self.inner = child(BACKEND / "rotating.py")
            return Account(self.inner.__enter__()["ready"], folder)

        def __exit__(self, *args):
            return self.inner.__exit__(*args)
    return Started()
