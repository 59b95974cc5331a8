//! The language of `--where`, and tags.

use super::*;
use crate::{Severity, Tags};

fn control() -> PlanControl {
    let tags: Tags =
        [("cis_level", "1"), ("service", "AWS/IAM"), ("cis_item_id", "1.14")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    PlanControl {
        id: "cis_v200_1_14".into(),
        control: Some("iam_user_access_key_age_90".into()),
        item: "1.14".into(),
        title: "Rotate keys, it's 100% needed".into(),
        description: String::new(),
        documentation: String::new(),
        severity: Severity::High,
        tags,
        query: "iam_user_access_key_age_90".into(),
        evaluation: Some(0),
    }
}

fn holds(expr: &str) -> Result<bool, String> {
    let filter = Filter::new(&[expr.to_owned()], &[]).map_err(|e| e.to_string())?;
    Ok(filter.matches(&control()))
}

#[test]
fn expressions() {
    for (expr, want) in [
        ("severity = 'high'", true),
        ("SEVERITY <> 'high'", false),
        ("severity != 'low'", true),
        ("severity in ('critical','high')", true),
        ("severity not in ('critical','high')", false),
        ("severity in ('low', null)", false),
        ("severity not in ('low', null)", false),
        ("tags ->> 'cis_level' = '1'", true),
        ("tags->>'cis_level' = 1", true),
        ("tags ->> 'nope' = '1'", false),
        ("not (tags ->> 'nope' = '1')", false),
        ("tags ->> 'nope' is null", true),
        ("tags ->> 'cis_level' is not null", true),
        ("tags ? 'cis_level' and not tags ? 'nope'", true),
        ("id like 'cis\\_v200\\_1\\_%'", true),
        ("id like 'cis_v200_1_14'", true),
        ("id like '%\\_2\\_%'", false),
        ("id not like 'cis%'", false),
        ("title ilike '%ROTATE%it''s 100\\% n%'", true),
        ("title like '%rotate%'", false),
        ("title like ''", false),
        ("description is null", true),
        ("control = 'iam_user_access_key_age_90' and service = 'AWS/IAM'", true),
        ("name = 'control.cis_v200_1_14'", true),
        ("severity = 'low' or severity = 'high' and item = '1.14'", true),
        ("(severity = 'low' or severity = 'high') and item = '2.1'", false),
        ("not severity = 'low'", true),
        ("item < '2' and item >= '1' and item <= '1.14' and item > '0'", true),
        ("severity = null", false),
        ("\"severity\" = 'high'", true),
    ] {
        assert_eq!(holds(expr), Ok(want), "{expr}");
    }
}

#[test]
fn refusals_name_the_column() {
    let deep = "(".repeat(200);
    for (expr, want) in [
        ("", "--where, column 1: something is missing at the end"),
        ("severity", "--where, column 9: expected a comparison"),
        ("severity =", "--where, column 11: something is missing at the end"),
        ("sevrity = 'x'", "--where, column 1: unknown attribute 'sevrity'"),
        ("severity = 'x", "--where, column 12: the ' is not closed"),
        ("severity = 'x' severity", "--where, column 16: expected 'and', 'or' or the end"),
        ("(severity = 'x'", "--where, column 16: expected ')'"),
        ("severity in 'x'", "--where, column 13: expected '('"),
        ("severity in ('x' 'y')", "--where, column 18: expected ',' or ')'"),
        ("severity is 'x'", "--where, column 13: expected 'null'"),
        ("severity not = 'x'", "--where, column 14: expected 'in', 'like' or 'ilike'"),
        ("tags = 'x'", "--where, column 6: expected ->> and a key"),
        ("tags ->> x = 'x'", "--where, column 10: expected a key in single quotes"),
        ("title = 'ä' ; drop", "--where, column 13: ';' is not understood here"),
        (deep.as_str(), "--where, column 101: nested too deeply"),
    ] {
        let got = holds(expr).unwrap_err();
        assert!(got.starts_with(want), "{expr:?} gave {got}");
    }
    let error = Filter::new(&["sevrity = 'x'".to_owned()], &[]).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean 'severity'?"));
}

#[test]
fn tags_of_one_key_are_alternatives() {
    for (tags, want) in [
        (&["cis_level=1"][..], true),
        (&["cis_level=2", "cis_level=1"], true),
        (&["cis_level=1", "service=AWS/S3"], false),
        (&["cis_level=1", "service=AWS/IAM"], true),
        (&["nope="], false),
    ] {
        let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
        assert_eq!(Filter::new(&[], &tags).unwrap().matches(&control()), want, "{tags:?}");
    }
    let error = Filter::new(&[], &["cis".to_owned()]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint()), ("--tag 'cis' is not name=value", Some("write --tag name=value")));
}
