//! Ids, filters and arguments become a tree and distinct evaluations.

use crate::{Library, Plan, PlanChild, PlanGroup, Request, TargetKind};

/// Ids, filters, tags, args or vars of a case.
type List = &'static [&'static str];

fn library() -> Library {
    let sql = "params: {days: {default: 90, min: 1, max: 90, hint: ask the other one}}\nsql: select $days\n";
    let files = [
        ("age.yaml", format!("control: age\ntitle: Age\nseverity: high\nservice: AWS/IAM\ntags: {{topic: keys}}\n{sql}")),
        ("mfa.yaml", "control: mfa\ntitle: Mfa\nseverity: critical\nsql: select 1\n".to_owned()),
        ("pos.yaml", "control: pos\ntitle: Pos\nparams: {a: {default: 1}, b: {default: [x]}}\nsql: select $2, $1\n".to_owned()),
        ("must.yaml", "control: must\ntitle: Must\nparams: {name: {description: n}}\nsql: select $name\n".to_owned()),
        (
            "fw.yaml",
            "benchmark: fw\ntitle: FW\nframework: cis\nversion: v1\nchildren:\n- id: fw_1\n  title: One\n  children:\n  - {id: fw_1_1, control: age, item: 1.1, level: 1}\n  - {id: fw_1_2, control: age, item: 1.2, level: 2, title: Own, args: {days: 30}}\n  - {id: fw_1_3, item: 1.3, level: 1, title: Later, service: AWS/S3}\n- id: fw_2\n  title: Two\n  children:\n  - {id: fw_2_1, control: mfa, item: 2.1, level: 1}\n  - fw_1_1\n"
                .to_owned(),
        ),
        ("top.yaml", "benchmark: top\ntitle: Top\nchildren: [fw_2, pos]\n".to_owned()),
    ];
    let mut library = Library::default();
    library.load_texts(files.map(|(p, t)| (p.to_owned(), t))).unwrap();
    library
}

fn tree(group: &PlanGroup) -> String {
    let child = |c: &PlanChild| match c {
        PlanChild::Group(g) => tree(g),
        PlanChild::Control(c) => format!("{}@{}", c.id, c.evaluation.map_or("-".to_owned(), |e| e.to_string())),
    };
    format!("{}[{}]", group.id, group.children.iter().map(child).collect::<Vec<_>>().join(" "))
}

fn evaluations(plan: &Plan) -> String {
    let args = |e: &crate::Evaluation| e.args.iter().map(|a| format!("{}={}", a.name, a.value)).collect::<Vec<_>>().join(",");
    plan.evaluations.iter().map(|e| format!("{}({})", e.query, args(e))).collect::<Vec<_>>().join(" ")
}

fn request(kind: TargetKind, ids: &[&str]) -> Request {
    Request::new(kind, ids.iter().copied())
}

#[test]
fn each_query_and_arguments_once() {
    let plan = library().plan(&request(TargetKind::Benchmark, &["fw"])).unwrap();
    assert_eq!(tree(&plan.root), "root_result_group[fw[fw_1[fw_1_1@0 fw_1_2@1 fw_1_3@-] fw_2[fw_2_1@2 fw_1_1@0]]]");
    assert_eq!(evaluations(&plan), "age(days=90) age(days=30) mfa()");
    let leaf = plan.root.controls()[1];
    assert_eq!((leaf.title.as_str(), leaf.item.as_str(), leaf.query.as_str()), ("Own", "1.2", "age"));
    let tags: Vec<String> = leaf.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags.join(" "), "cis=true cis_item_id=1.2 cis_level=2 cis_section_id=1 cis_version=v1 service=AWS/IAM topic=keys");
}

#[test]
fn selects_by_id_filter_and_tag() {
    use TargetKind::{Benchmark, Control};
    let cases: &[(TargetKind, List, List, List, &str)] = &[
        (Control, &["aws_compliance.control.fw_1_1", "fw_1_1", "age"], &[], &[], "[fw_1_1@0 age@0]"),
        (Benchmark, &["fw_2", "top"], &[], &[], "[fw_2[fw_2_1@0 fw_1_1@1] top[fw_2[fw_2_1@0 fw_1_1@1] pos@2]]"),
        (
            Benchmark,
            &["all"],
            &["control <> 'must'"],
            &[],
            "[fw[fw_1[fw_1_1@0 fw_1_2@1] fw_2[fw_2_1@2 fw_1_1@0]] top[fw_2[fw_2_1@2 fw_1_1@0] pos@3]]",
        ),
        (Control, &["all"], &["id <> 'must'"], &[], "[fw_1_1@0 fw_1_2@1 fw_1_3@- fw_2_1@2 pos@3]"),
        (Benchmark, &["fw"], &["severity = 'high'", "tags ->> 'cis_level' = '1'"], &[], "[fw[fw_1[fw_1_1@0] fw_2[fw_1_1@0]]]"),
        (Benchmark, &["fw"], &[], &["cis_item_id=1.3", "cis_item_id=2.1"], "[fw[fw_1[fw_1_3@-] fw_2[fw_2_1@0]]]"),
        (Benchmark, &["fw"], &[], &["cis_level=1", "service=AWS/S3"], "[fw[fw_1[fw_1_3@-]]]"),
    ];
    for (kind, ids, filters, tags, want) in cases {
        let mut r = request(*kind, ids);
        r.filters = filters.iter().map(|s| (*s).to_owned()).collect();
        r.tags = tags.iter().map(|s| (*s).to_owned()).collect();
        let plan = library().plan(&r).unwrap();
        assert_eq!(tree(&plan.root), format!("root_result_group{want}"), "{ids:?} {filters:?} {tags:?}");
    }
}

#[test]
fn arguments_beat_leaves_beat_variables_beat_defaults() {
    let cases: &[(List, List, List, &str)] = &[
        (&["fw_1_1", "fw_1_2"], &[], &["days=60"], "age(days=60) age(days=30)"),
        (&["fw_1_1", "fw_1_2"], &["days=10"], &["days=60"], "age(days=10)"),
        (&["pos"], &["b=y,z"], &[], "pos(1=1,2=[\"y\",\"z\"])"),
        (&["must"], &["name=x=y"], &[], "must(name=\"x=y\")"),
        (&["mfa"], &[], &["days=1"], "mfa()"),
    ];
    for (ids, args, vars, want) in cases {
        let mut r = request(TargetKind::Control, ids);
        r.args = args.iter().map(|s| (*s).to_owned()).collect();
        r.vars = vars.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(evaluations(&library().plan(&r).unwrap()), *want, "{ids:?} {args:?} {vars:?}");
    }
}

#[test]
fn refuses_what_cannot_be_meant() {
    use TargetKind::{Benchmark, Control};
    let cases: &[(TargetKind, List, List, List, List, &str)] = &[
        (Control, &[], &[], &[], &[], "no id is given / for example"),
        (Control, &["fw"], &[], &[], &[], "'fw' is a benchmark / use `assay run benchmark fw`"),
        (Benchmark, &["fw_1_1"], &[], &[], &[], "'fw_1_1' is a control / use `assay run control fw_1_1`"),
        (Benchmark, &["fw_3"], &[], &[], &[], "no control or benchmark has the id 'fw_3' / did you mean 'fw_"),
        (Benchmark, &["fw"], &["id = 'x'"], &[], &[], "no control matches --where and --tag / see"),
        (Control, &["age"], &[], &["dayz=1"], &[], "no selected control has a parameter 'dayz' / did you mean 'days'?"),
        (Control, &["mfa"], &[], &["days=1"], &[], "no selected control has a parameter 'days' / none has parameters"),
        (Control, &["mfa"], &[], &[], &["dayz=1"], "no control has a parameter 'dayz' / did you mean 'days'?"),
        (Control, &["age"], &[], &["days"], &[], "--arg 'days' is not name=value / write --arg name=value"),
        (Control, &["age"], &[], &["days=0"], &[], "control 'age': 0 is less than 1, the least 'days' can be / ask the other one"),
        (Control, &["age"], &[], &["days=91"], &[], "control 'age': 91 is more than 90, the most 'days' can be / ask the other one"),
        (Benchmark, &["fw"], &[], &[], &["days=91"], "control 'fw_1_1': 91 is more than 90, the most 'days' can be / ask the other one"),
        (Control, &["age"], &[], &[], &["days=x"], "control 'age': 'x' is not a whole number"),
        (Control, &["must"], &[], &[], &[], "control 'must' needs the parameter 'name' / give it: --arg name=VALUE"),
    ];
    for (kind, ids, filters, args, vars, want) in cases {
        let mut r = request(*kind, ids);
        r.filters = filters.iter().map(|s| (*s).to_owned()).collect();
        r.args = args.iter().map(|s| (*s).to_owned()).collect();
        r.vars = vars.iter().map(|s| (*s).to_owned()).collect();
        let e = library().plan(&r).unwrap_err();
        let got = format!("{e} / {}", e.hint().unwrap_or(""));
        assert!(got.starts_with(want), "{ids:?} {filters:?} {args:?} {vars:?} gave {got}");
    }
}
