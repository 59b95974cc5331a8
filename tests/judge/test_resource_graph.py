"""The Resource Graph in the place of a list per subscription: one query for many, the same rows, and never fewer of them without a word."""
import collections
import json
import re

import azure_estate
import azure_resources
import pytest
from conftest import run

MANY = 40
GRAPH = "POST /providers/microsoft.resourcegraph/resources"
HOW = ("--max-staleness", "30h")
# Tables with what the index does not have, beside columns that take a call per row.
LACKS = {
    "azure_storage_account": ["type", "private_endpoint_connections"],
    "azure_compute_disk": ["type", "managed_by_extended"],
    "azure_compute_virtual_machine": ["type", "admin_user_name", "data_disks", "linux_configuration_ssh_public_keys", "security_profile"],
    "azure_key_vault": ["type"],
    "azure_network_security_group": ["etag", "type", "flow_logs", "network_interfaces", "subnets"],
    "azure_sql_server": ["type", "location", "administrator_login", "administrator_login_password"],
    "azure_log_alert": ["type", "location"],
    "azure_resource_group": ["type"],
}


def identity(n):
    return f"{n + 1:08x}-0000-4000-8000-0000000000aa"


def wide(count, folder, **more):
    """An estate file: so many subscriptions with one or two of every kind of resource, every third of them without any."""
    ids = [identity(n) for n in range(count)]
    now = azure_estate.parse_now("2026-03-01T00:00:00Z")
    estate = azure_estate.build("readable", now)
    resources = []
    for n, sub in enumerate(ids):
        if n % 3 == 2:
            continue
        cases = [azure_estate.Case(f"st{n:03d}{k}", "fresh", 10, 20, subscription=sub, policy=90 if k else None, ids="upper" if k else "same") for k in range(2)]
        resources += [azure_estate.account(case, now) for case in cases]
        resources += [azure_resources.group(sub, group) for group in ("rg-app", "rg-data")]
        resources += azure_resources.everything_else(sub, azure_estate.TENANT, now)
    estate |= {"subscriptions": [azure_estate.subscription(s, f"team-{n}") for n, s in enumerate(ids)], "denied": [], "resources": resources} | more
    file = folder / f"wide{count}.json"
    file.write_text(json.dumps(estate))
    return str(file)


@pytest.fixture
def arm(start_fake_arm, tmp_path):
    return start_fake_arm(wide(MANY, tmp_path), "--now", "2026-03-01T00:00:00Z")


def ask(arm, sql, *options, code=0, env=None):
    """The run, and the calls by operation; those of the Resource Graph by their query's kind."""
    arm.forget()
    done = run("query", sql, "--output", "json", *options, env=arm.env | (env or {}))
    assert done.code == code, done.err
    calls = collections.Counter()
    for call in arm.calls("arm"):
        path = call["path"].lower()
        if path.endswith("/microsoft.resourcegraph/resources"):
            calls["graph"] += 1
        elif path == "/subscriptions":
            calls["subscriptions"] += 1
        else:
            calls["list"] += 1
    return done, calls


def given(table):
    """Columns that the index gives without a call per row."""
    shown = run("show", table).out
    assert f"of 3 subscriptions or more  all columns but {', '.join(LACKS[table])}\n" in shown, shown
    per_row = set(re.findall(r"\w+", " ".join(re.findall(r"^  (?:arm|blob|queue|table) .* for (.*)$", shown, re.M))))
    columns = re.findall(r"^  (\w+)", shown.split("\nColumns\n")[1].split("\n\n")[0], re.M)
    return [c for c in columns if c not in per_row | set(LACKS[table])]


@pytest.mark.parametrize("table", LACKS)
def test_every_column_is_as_by_listing(arm, table):
    columns = given(table)
    assert {"name", "id", "tags", "akas", "subscription_id"} <= set(columns) and len(columns) >= 8
    sql = f"select {', '.join(columns)} from {table} order by id"
    listed, calls = ask(arm, sql)
    assert calls == {"subscriptions": 1, "list": MANY}
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": 2}
    assert graph.rows() == listed.rows() and len(graph.rows()) >= MANY // 2
    for lacked in (c for c in LACKS[table] if c != "administrator_login_password"):
        _, calls = ask(arm, f"select id, {lacked} from {table}", *HOW)
        assert calls == {"subscriptions": 1, "list": MANY}, lacked


def test_keys_of_storage_accounts_are_those_of_the_accounts(arm):
    sql = ("select k.storage_account_id, k.key_name, k.creation_time, k.key_expiration_period_in_days, k.tags, k.region, k.akas, a.sku_name from azure_storage_account_key k, azure_storage_account a "
           "where a.id = k.storage_account_id order by 1, 2")
    listed, calls = ask(arm, sql)
    assert calls == {"subscriptions": 1, "list": MANY}
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": 2}
    assert graph.rows() == listed.rows() and len(graph.rows()) > MANY


def test_tables_share_the_question_which_subscriptions_there_are(arm):
    sql = ("select 'disk' as kind, name, subscription_id from azure_compute_disk union all select 'vault', name, subscription_id from azure_key_vault "
           "union all select 'account', name, subscription_id from azure_storage_account order by 1, 3, 2")
    listed, calls = ask(arm, sql)
    assert calls == {"subscriptions": 1, "list": 3 * MANY}
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": 4}
    assert graph.rows() == listed.rows() and graph.rows()


def test_the_answer_says_how_old_it_can_be(arm):
    done, _ = ask(arm, "select name from azure_compute_disk", *HOW)
    [part] = done.json()["metadata"]["as_of"]
    assert (part["table"], part["source"], part["connection"], part["account_id"], part["or_later"]) == ("azure_compute_disk", "Resource Graph", "azure", None, True)
    assert re.search(r"^note: azure_compute_disk of connection azure as of \S+ \S+Z or later, from the Resource Graph \(up to 1 d 6 h old\)$", done.err, re.M), done.err
    plan = run("query", "explain analyze select name from azure_compute_disk", *HOW, env=arm.env).out
    assert "summary=[Resource Graph]" in plan and f"by_summary={MANY}" in plan, plan


@pytest.mark.parametrize("sql, options", [
    ("select name from azure_compute_disk", ()),
    ("select name from azure_compute_disk", ("--max-staleness", "4h")),
    ("select name from azure_compute_disk", ("--max-staleness", "29h")),
    (f"select name from azure_compute_disk where subscription_id = '{identity(3)}'", HOW),
    (f"select name from azure_compute_disk where subscription_id in ('{identity(3)}', '{identity(4)}')", HOW),
    ("select name from azure_compute_disk where name = 'os-web' and resource_group = 'rg-app'", HOW),
])
def test_where_it_may_not_be_used_or_saves_nothing_the_table_is_asked(arm, sql, options):
    _, calls = ask(arm, sql, *options)
    wanted = 1 if "= '0" in sql else 2 if " in (" in sql else MANY
    assert calls == {"subscriptions": 1, "list": wanted}


@pytest.mark.parametrize("count, calls", [(2, {"list": 2}), (3, {"graph": 2})])
def test_from_three_subscriptions_on(start_fake_arm, tmp_path, count, calls):
    arm = start_fake_arm(wide(count, tmp_path))
    done, made = ask(arm, "select name from azure_key_vault order by 1", *HOW)
    assert made == {"subscriptions": 1} | calls and done.rows()


def test_each_connection_asks_for_its_own(arm, tmp_path):
    config = tmp_path / "assay.yaml"
    of = lambda *numbers: "[" + ", ".join(identity(n) for n in numbers) + "]"
    config.write_text(f"connections:\n  few: {{ cloud: azure, subscriptions: {of(0, 1)} }}\n  many: {{ cloud: azure, subscriptions: {of(3, 4, 6, 7)} }}\n"
                      "  all: { aggregate: [few, many] }\ndefault: [all]\n")
    sql, options = "select id, sp_connection_name from azure_key_vault order by id", {"env": arm.env, "config": config, "home": tmp_path}
    listed = run("query", sql, "--output", "json", **options)
    asked = explain(sql, "--ask", *HOW, **options)
    arm.forget()
    graph = run("query", sql, "--output", "json", *HOW, **options)
    assert graph.code == 0 and graph.rows() == listed.rows() and {r["sp_connection_name"] for r in graph.rows()} == {"few", "many"}
    bodies = [json.loads(c["body"])["subscriptions"] for c in arm.calls("arm") if "body" in c]
    assert bodies == [[identity(n) for n in (3, 4, 6, 7)]] * 2
    lists = [c for c in arm.calls("arm") if "vaults" in c["path"]]
    assert len(lists) == 2 and len(arm.calls("arm")) == asked["total"]["calls"] == explain(sql, *HOW, **options)["total"]["calls"]


def test_a_filter_on_subscriptions_is_in_the_query(arm):
    wanted = [identity(n) for n in (3, 4, 6, 7)]
    listed, _ = ask(arm, f"select id from azure_compute_disk where subscription_id in {tuple(wanted)} order by 1")
    graph, calls = ask(arm, f"select id from azure_compute_disk where subscription_id in {tuple(wanted)} order by 1", *HOW)
    assert calls == {"subscriptions": 1, "graph": 2} and graph.rows() == listed.rows() and graph.rows()
    bodies = [json.loads(c["body"]) for c in arm.calls("arm") if "body" in c]
    assert [body["subscriptions"] for body in bodies] == [wanted, wanted]


def test_further_calls_are_made_for_the_rows_that_are_asked_for(arm):
    sql = f"select subscription_id, name, diagnostic_settings from azure_key_vault where name = 'kv-main' and subscription_id <> '{identity(0)}' order by 1"
    listed, calls = ask(arm, sql)
    rows = len(listed.rows())
    assert calls == {"subscriptions": 1, "list": MANY - 1 + rows}
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": 2, "list": rows} and graph.rows() == listed.rows()


def test_values_of_a_join_are_asked_for_by_key(arm):
    sql = ("select d.name from (values ('os-web', 'rg-app'), ('orphan', 'rg-app')) w (name, resource_group) join azure_compute_disk d on d.name = w.name and d.resource_group = w.resource_group")
    listed, without = ask(arm, sql)
    graph, calls = ask(arm, sql, *HOW)
    assert calls == without and not calls["graph"] and sorted(r["name"] for r in graph.rows()) == sorted(r["name"] for r in listed.rows())


# -- what it does not show ------------------------------------------------------------------------------------------------


def failures(done):
    return [(f["table"], f["account_id"]) for f in done.json()["metadata"]["failures"]]


def test_a_subscription_that_may_not_be_read_fails_as_by_listing(arm):
    arm.control(denied=[identity(7)])
    sql = "select name, id from azure_compute_disk order by id"
    listed, _ = ask(arm, sql, code=2)
    graph, calls = ask(arm, sql, *HOW, code=2)
    assert calls == {"subscriptions": 1, "graph": 2, "list": 1}
    assert graph.rows() == listed.rows() and graph.rows()
    assert failures(graph) == failures(listed) == [("azure_compute_disk", identity(7))]
    assert f"azure_compute_disk of azure: listed, for the Resource Graph cannot be used: it does not show subscription {identity(7)}" in graph.err
    assert "cannot be used" not in listed.err


def test_a_role_on_a_group_alone_is_no_right_on_the_subscription(arm):
    arm.control(only_groups={identity(6): ["RG-App"]})
    sql = "select name, id from azure_compute_disk order by id"
    listed, _ = ask(arm, sql, code=2)
    graph, calls = ask(arm, sql, *HOW, code=2)
    assert calls == {"subscriptions": 1, "graph": 2, "list": 1}
    assert graph.rows() == listed.rows() and failures(graph) == failures(listed) == [("azure_compute_disk", identity(6))]


def test_a_kind_that_the_role_does_not_have_fails_as_by_listing(arm):
    arm.control(hidden_kinds=["Microsoft.KeyVault/vaults"])
    for sql in ("select name from azure_key_vault", "select name from azure_key_vault limit 3"):
        listed, _ = ask(arm, sql, code=2)
        graph, calls = ask(arm, sql, *HOW, code=2)
        assert graph.rows() == listed.rows() == [] and sorted(failures(graph)) == sorted(failures(listed)) and len(failures(graph)) == MANY
        assert calls == {"subscriptions": 1, "graph": 2, "list": MANY}
        assert "azure_key_vault of azure: listed, for the Resource Graph cannot be used: it shows none, which may be for want of rights" in graph.err


def test_a_disabled_subscription_is_not_asked_about(start_fake_arm, tmp_path):
    subscriptions = [azure_estate.subscription(identity(n), f"team-{n}", "Disabled" if n == 1 else "Enabled") for n in range(5)]
    arm = start_fake_arm(wide(5, tmp_path, subscriptions=subscriptions))
    sql = "select name, id from azure_compute_disk order by id"
    listed, _ = ask(arm, sql, code=2)
    graph, calls = ask(arm, sql, *HOW, code=2)
    assert calls == {"subscriptions": 1, "graph": 2} and graph.rows() == listed.rows() and failures(graph) == failures(listed) != []


@pytest.mark.parametrize("fault", [
    {"do": "error", "status": 403, "code": "AuthorizationFailed", "message": "no right"},
    {"do": "error", "status": 400, "code": "BadRequest", "message": "the query is wrong"},
    {"do": "error", "status": 500},
    {"do": "throttle", "retry_after": 1},
    {"do": "garbage"},
    {"do": "other"},
])
@pytest.mark.parametrize("skip", [0, 1])
def test_where_it_does_not_answer_the_table_is_listed(arm, fault, skip):
    sql = "select name, id from azure_compute_disk order by id"
    listed, _ = ask(arm, sql)
    arm.control(faults=[fault | {"when": {"path": "resourcegraph"}, "skip": skip}])
    done, calls = ask(arm, sql, *HOW)
    assert done.rows() == listed.rows() and calls["list"] == MANY and calls["graph"] <= 12, calls
    [note] = re.findall(r"^note: (.*)$", done.err, re.M)
    assert note.startswith("azure_compute_disk of azure: listed, for the Resource Graph cannot be used: "), done.err
    assert "as_of" not in done.json().get("metadata", {}) or done.json()["metadata"]["as_of"] == []


# -- many rows --------------------------------------------------------------------------------------------------------------


def test_pages(arm):
    sql = "select id from azure_compute_disk order by id"
    listed, _ = ask(arm, sql)
    rows = len(listed.rows())
    arm.control(page_size={"resources": 20})
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": MANY // 20 + -(-rows // 20)} and graph.rows() == listed.rows()
    # A later page that fails is no loss: nothing has come of the summary before its last.
    arm.control(page_size={"resources": 20}, faults=[{"when": {"path": "resourcegraph"}, "skip": 4, "do": "error", "status": 400, "code": "BadRequest"}])
    graph, calls = ask(arm, sql, *HOW)
    assert graph.rows() == listed.rows() and calls["list"] == MANY


def test_more_than_a_thousand_rows_and_limit(start_fake_arm):
    arm = start_fake_arm("many:4x600")
    sql = "select id from azure_storage_account order by id"
    listed, _ = ask(arm, sql)
    graph, calls = ask(arm, sql, *HOW)
    assert len(graph.rows()) == 2400 and graph.rows() == listed.rows()
    assert calls == {"subscriptions": 1, "graph": 1 + 3}
    some, calls = ask(arm, "select id from azure_storage_account limit 5", *HOW)
    assert len(some.rows()) == 5 and calls["graph"] == 2 and not calls["list"], calls


def test_a_query_is_about_a_hundred_subscriptions_at_most(start_fake_arm, tmp_path):
    arm = start_fake_arm(wide(101, tmp_path))
    sql = "select id from azure_resource_group order by id"
    listed, calls = ask(arm, sql)
    assert calls == {"subscriptions": 1, "list": 101}
    graph, calls = ask(arm, sql, *HOW)
    assert calls == {"subscriptions": 1, "graph": 4} and graph.rows() == listed.rows()
    sizes = sorted(len(json.loads(c["body"])["subscriptions"]) for c in arm.calls("arm") if "body" in c)
    assert sizes == [50, 50, 51, 51]


# -- the bill, verdicts -------------------------------------------------------------------------------------------------------


def explain(*args, **options):
    done = run("explain", *args, "--output", "json", **options)
    assert done.code == 0, done.err
    return done.json()


@pytest.mark.parametrize("sql", [
    "select name from azure_compute_disk",
    "select name from azure_compute_disk union all select name from azure_key_vault union all select name from azure_resource_group",
    "select name, diagnostic_settings from azure_key_vault",
])
def test_the_estimate_is_what_the_next_run_calls(arm, tmp_path, sql):
    options = {"env": arm.env, "home": tmp_path}
    asked = explain(sql, "--ask", *HOW, **options)
    run("query", sql, *HOW, **options)
    arm.forget()
    bill = explain(sql, *HOW, **options)
    assert not arm.calls("arm")
    run("query", sql, *HOW, **options)
    made = len(arm.calls("arm"))
    assert bill["total"]["calls"] == made, bill["lines"]
    if "diagnostic" not in sql:
        assert asked["total"]["calls"] == made, asked["lines"]
    graph = [line for line in bill["lines"] if "ResourceGraph" in line["operation"]]
    assert sum(line["calls"] for line in graph) == made - 1 - sum("diagnostic" in c["path"].lower() for c in arm.calls("arm"))
    # Without the option, as many lists as there are subscriptions.
    run("query", sql, **options)
    assert explain(sql, **options)["total"]["calls"] >= MANY + 1


def test_reading_what_is_asked_about_is_right_enough(arm, tmp_path):
    sql, needed = "select name from azure_compute_disk", {"Microsoft.Compute/disks/read", "Microsoft.Resources/subscriptions/read"}
    policy = run("policy", sql, *HOW, "--output", "json", env=arm.env)
    assert policy.code == 0 and set(json.loads(policy.out)["Actions"]) == needed, policy.out
    run("query", sql, *HOW, env=arm.env, home=tmp_path)
    bill = explain(sql, *HOW, env=arm.env, home=tmp_path)
    [line] = [line for line in bill["lines"] if "ResourceGraph" in line["operation"]]
    assert line["calls"] == 2 and set(line["permissions"]) == needed, line


@pytest.mark.parametrize("target", [("benchmark", "conformity_azure_storage"), ("control", "StorageAccounts-002"), ("control", "azure_storage_account_key_expiration_policy")])
def test_verdicts_are_the_same(arm, target):
    def verdicts(*options):
        arm.forget()
        done = run("run", *target, "--output", "json", *options, env=arm.env)
        assert done.code in (0, 1, 2), done.err
        found = done.json()

        def rows(group):
            for control in group.get("controls") or []:
                yield control["control_id"], sorted((r["status"], r["resource"] or "", r["reason"]) for r in control["results"] or [])
            for inner in group.get("groups") or []:
                yield from rows(inner)
        return sorted(rows(found)), len(arm.calls("arm"))
    listed, calls = verdicts()
    graph, fewer = verdicts(*HOW)
    assert listed == graph and listed and fewer < calls, (fewer, calls)


def test_recordings(arm, tmp_path):
    sql, without, using = "select name, id from azure_compute_disk order by id", str(tmp_path / "listed"), str(tmp_path / "graph")
    listed = run("query", sql, "--record", without, "--output", "json", env=arm.env)
    graph = run("query", sql, "--record", using, "--output", "json", *HOW, env=arm.env)
    assert listed.rows() == graph.rows() and graph.rows()
    arm.forget()
    for bundle, notes in ((without, 0), (using, 1)):
        done = run("query", sql, "--replay", bundle, "--output", "json", *HOW)
        # A recording without it is asked as it was made, and that is no news.
        assert done.code == 0 and done.rows() == listed.rows() and done.err.count("Resource Graph") == notes, done.err
    assert not arm.calls()
