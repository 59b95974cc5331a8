//! The grammar: what is read, and what is refused where.

use super::*;
use crate::yaml;

fn load(stem: &str, text: &str) -> Result<File, ContentError> {
    file(&yaml::parse(&Arc::from("f.yaml"), text)?, stem)
}

const CONTROL: &str = "control: c\ntitle: T\nservice: AWS/IAM\nseverity: high\ntags: {level: 1.10}\nparams:\n  days: { default: 90, description: d, min: 1 }\nsql: |\n  select $days\n";

#[test]
fn reads_a_control() {
    let File::Control(c) = load("c", CONTROL).unwrap() else { panic!("not a control") };
    assert_eq!((c.id.as_str(), c.title.as_str(), c.severity, c.service.as_str()), ("c", "T", Severity::High, "AWS/IAM"));
    assert_eq!(c.tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["level=1.10", "service=AWS/IAM"]);
    assert_eq!(c.params[0].default, Some(Json::from(90)));
    assert_eq!(c.query, QueryRef::Sql(Arc::from("select $days")));
}

#[test]
fn derives_the_tags_of_leaves() {
    let text = "benchmark: b\ntitle: B\nframework: cis\nversion: v2.0.0\ntags: {category: x, plugin: aws}\nchildren:\n- id: b_1\n  title: One\n  tags: {plugin: other}\n  children:\n  - {id: b_1_10, control: c, item: 1.10, level: 1, type: automated, title: T, args: {days: 30}}\n  - {id: b_2_1_1, item: 2.1.1, title: U}\n- other\n";
    let File::Benchmark(b) = load("b", text).unwrap() else { panic!("not a benchmark") };
    let [Child::Group(g), Child::Name(other, place)] = b.children.as_slice() else { panic!("{b:?}") };
    assert_eq!((other.as_str(), place.line, place.column), ("other", 13, 3));
    let Child::Leaf(leaf) = &g.children[0] else { panic!("{g:?}") };
    let tags: Vec<_> = leaf.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let want = "category=x cis=true cis_item_id=1.10 cis_level=1 cis_section_id=1 cis_type=automated cis_version=v2.0.0 plugin=other";
    assert_eq!(tags.join(" "), want);
    assert_eq!(leaf.args["days"], Json::from(30));
    let Child::Leaf(deeper) = &g.children[1] else { panic!("{g:?}") };
    assert_eq!(deeper.tags["cis_section_id"], "2.1");
}

#[test]
fn refuses_bad_files_with_place_and_hint() {
    let cases: &[(&str, &str, &str)] = &[
        ("- a", "1:1: expected a mapping", ""),
        ("title: x", "1:1: neither a control nor a benchmark", "`control: <id>`"),
        ("control: d\ntitle: x\nsql: select 1", "1:10: control 'd' stands in a file of another name", "rename the file to d.yaml"),
        ("control: a.b\ntitle: x\nsql: select 1", "1:10: 'a.b' cannot be an id", "letters"),
        ("control: c\nsql: select 1", "1:1: a control has no 'title'", "add `title:`"),
        ("control: c\ntitle:\nsql: select 1", "2:6: 'title' must be text, found nothing", ""),
        ("control: c\ntitle: x", "1:1: a control has no 'sql'", "`query:`"),
        ("control: c\ntitle: x\nsql: select 1\nquery: d", "4:8: both 'sql' and 'query'", ""),
        ("control: c\ntitle: x\nsqll: select 1", "3:1: unknown key 'sqll' in a control", "did you mean 'sql'?"),
        ("control: c\ntitle: x\nseverity: hihg\nsql: select 1", "3:11: 'hihg' is not a severity", "did you mean 'high'?"),
        ("control: c\ntitle: x\nsql: select $a", "3:6: the SQL uses $a, which is not a parameter", "declare it"),
        ("control: c\ntitle: x\nsql: select 1\nparams: {a: {default: 1}}", "3:6: parameter 'a' is not used", "remove it"),
        ("control: c\ntitle: x\nsql: select $1, $a\nparams: {a: {default: 1}}", "3:6: the SQL mixes $1 and $name", ""),
        ("control: c\ntitle: x\nsql: select $2\nparams: {a: {default: 1}}", "3:6: the SQL uses $2", ""),
        (
            "control: c\ntitle: x\nsql: select $a\nparams: {a: {defalt: 1}}",
            "4:14: unknown key 'defalt' in a parameter",
            "did you mean 'default'?",
        ),
        ("control: c\ntitle: x\nsql: select $a\nparams: {a: {default: {b: 1}}}", "4:23: a default is a number", ""),
        ("control: c\ntitle: x\nsql: select $a\nparams: {a: {default: 0, min: 1}}", "4:23: 0 is less than 1, the least 'a' can be", ""),
        ("control: c\ntitle: x\nsql: select 1\ntags: [a]", "4:7: 'tags' must be a mapping, found a list", ""),
        ("control: c\ntitle: x\nsql: select 1\ntags: {a: [b]}", "4:11: tag 'a' must be text", ""),
        ("benchmark: c\ntitle: x", "1:1: a benchmark has no 'children'", ""),
        ("benchmark: c\ntitle: x\nchildren: []", "3:11: 'children' is empty", ""),
        ("benchmark: c\ntitle: x\nversion: 1\nchildren: [a]", "3:10: 'version' without 'framework'", ""),
        ("benchmark: c\ntitle: x\nchildren:\n- []", "4:3: a child cannot be a list", ""),
        ("benchmark: c\ntitle: x\nchildren:\n- {title: y}", "4:3: a leaf has no 'id'", ""),
        ("benchmark: c\ntitle: x\nchildren:\n- {id: all}", "4:8: 'all' cannot be an id", ""),
        ("benchmark: c\ntitle: x\nchildren:\n- {id: l, level: 1}", "4:18: 'level' without a framework", "cis_level"),
        ("benchmark: c\ntitle: x\nchildren:\n- {id: l, contol: d}", "4:11: unknown key 'contol' in a leaf", "did you mean 'control'?"),
        ("benchmark: c\ntitle: x\nchildren:\n- {id: l, args: {a: 1}}", "4:17: 'args' without 'control'", ""),
        ("benchmark: c\ntitle: x\nchildren:\n- {id: g, title: t, level: 1, children: [a]}", "4:21: unknown key 'level' in a group", ""),
    ];
    for (text, message, hint) in cases {
        let got = load("c", text).unwrap_err();
        assert!(got.to_string().starts_with(&format!("f.yaml:{message}")), "{text:?} gave {got}");
        assert!(got.hint.clone().unwrap_or_default().contains(hint), "{text:?} gave hint {:?}", got.hint);
    }
}
