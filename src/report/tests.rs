//! Whole reports against committed files, and the properties that hold for each. `ASSAY_UPDATE_GOLDEN=1` rewrites the files.

use crate::{Format, Options, render, sample};
use assay_compliance::RunResult;
use std::path::{Path, PathBuf};

fn golden(name: &str, got: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("ASSAY_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read(&path).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(got), String::from_utf8_lossy(&want), "{name}: if the change is meant, set ASSAY_UPDATE_GOLDEN=1");
}

fn text(format: Format, result: &RunResult, options: &Options) -> String {
    String::from_utf8(render(format, result, options)).unwrap()
}

#[test]
fn reports_are_as_committed() {
    let plain = Options::default();
    for (name, result) in [("full", sample::full()), ("cancelled", sample::cancelled()), ("clean", sample::clean())] {
        for (format, suffix) in [
            (Format::Text, "txt"),
            (Format::Brief, "brief.txt"),
            (Format::Csv, "csv"),
            (Format::Json, "json"),
            (Format::Md, "md"),
            (Format::Html, "html"),
        ] {
            golden(&format!("{name}.{suffix}"), &render(format, &result, &plain));
        }
    }
    let full = sample::full();
    golden("full.narrow.txt", &render(Format::Text, &full, &Options { width: 60, all_rows: true, ..plain }));
    golden("full.color.txt", &render(Format::Text, &full, &Options { width: 120, color: true, ..plain }));
}

#[test]
fn terminal_reports_fit_and_cannot_steer() {
    for width in [10, 60, 73, 80, 100, 160, 500] {
        for all_rows in [false, true] {
            let out = text(Format::Text, &sample::full(), &Options { width, all_rows, color: false });
            for line in out.lines() {
                assert!(crate::terminal::width(line) <= width.clamp(60, 160), "{width}: {line}");
                assert!(!line.chars().any(char::is_control), "{width}: {line:?}");
            }
        }
    }
    let brief = text(Format::Brief, &sample::full(), &Options::default());
    assert!(!brief.contains('\x1b'));
}

/// The report without its colours is the report.
#[test]
fn colour_changes_nothing_but_colour() {
    for format in [Format::Text, Format::Brief] {
        let plain = text(format, &sample::full(), &Options::default());
        let mut painted = text(format, &sample::full(), &Options { color: true, ..Options::default() });
        assert!(painted.contains("\x1b[1;31m"));
        while let Some(start) = painted.find("\x1b[") {
            let end = start + painted[start..].find('m').unwrap();
            painted.replace_range(start..=end, "");
        }
        let trim = |t: &str| t.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trim(&painted), trim(&plain));
    }
}

#[test]
fn csv_reads_back_and_holds_no_formula() {
    let out = render(Format::Csv, &sample::full(), &Options::default());
    let mut reader = ::csv::Reader::from_reader(out.as_slice());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let want = "group_id,title,description,control_id,control_title,control_description,reason,resource,status,severity,account_id,bucket,region,user_name,cis,cis_item_id,service";
    assert_eq!(header.join(","), want);
    let records: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    for record in &records {
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{record:?}");
    }
    let statuses: Vec<&str> = records.iter().map(|r| &r[8]).collect();
    assert_eq!(statuses, ["info", "ok", "alarm", "alarm", "ok", "skip", "error", "error", "error", "not_implemented"]);
    assert!(records.iter().any(|r| r[6].starts_with("'=cmd|'/c calc'!A1 \"quoted\", <script>")));
    assert!(records.iter().any(|r| &r[13] == "'@evil"));
}

#[test]
fn csv_cells() {
    // Numbers below zero are formulas to a spreadsheet, too.
    for (cell, want) in [
        ("-5", "'-5"),
        ("a,b", "\"a,b\""),
        ("=a,\"b\"", "\"'=a,\"\"b\"\"\""),
        ("a\nb", "\"a\nb\""),
        ("\tx", "'\tx"),
        ("\rx", "\"'\rx\""),
        ("", ""),
        ("a=b", "a=b"),
    ] {
        assert_eq!(crate::csv::cell(cell), want, "{cell:?}");
    }
}

#[test]
fn json_has_the_shape_others_read() {
    let out = text(Format::Json, &sample::full(), &Options::default());
    let root: serde_json::Value = serde_json::from_str(&out).unwrap();
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",");
    assert_eq!(keys(&root), "group_id,title,description,tags,summary,groups,controls,coverage,completeness,calls,time");
    assert_eq!(root["group_id"], "root_result_group");
    let benchmark = &root["groups"][0];
    assert_eq!(keys(benchmark), "group_id,title,description,tags,summary,groups,controls");
    assert_eq!(keys(&benchmark["summary"]["status"]), "alarm,ok,info,skip,error");
    let control = &benchmark["groups"][0]["controls"][2];
    assert_eq!(
        keys(control),
        "summary,results,control_id,description,severity,tags,title,run_status,run_error,item,query,arguments,not_implemented"
    );
    assert_eq!(
        (&control["control_id"], &control["run_status"], &control["run_error"]),
        (&"control.demo_1_14".into(), &4.into(), &"".into())
    );
    assert_eq!(keys(&control["results"][0]), "reason,resource,status,dimensions");
    assert_eq!(keys(&control["results"][0]["dimensions"][0]), "key,value");
    let storage = &benchmark["groups"][1];
    assert_eq!(storage["groups"][0]["controls"][1]["run_status"], 8);
    assert_eq!(storage["controls"][0]["run_status"], 1);
    assert_eq!(root["coverage"], serde_json::json!({"evaluated": 6, "not_implemented": 1, "total": 7}));
    assert_eq!(root["completeness"]["complete"], false);
}

#[test]
fn markup_from_a_cloud_stays_text() {
    for format in [Format::Html, Format::Md] {
        let out = text(format, &sample::full(), &Options::default());
        assert!(!out.contains("<script"), "{format:?}");
        assert!(out.contains("&lt;script&gt;"), "{format:?}");
        assert!(!out.contains('\x1b'), "{format:?}");
    }
}

/// Every format says how many controls there are and which are missing.
#[test]
fn what_is_not_implemented_is_in_every_output() {
    for format in Format::ALL.into_iter().filter(|f| *f != Format::None) {
        let out = text(format, &sample::full(), &Options::default());
        let named = ["File systems are encrypted", "demo_2_9"].iter().any(|t| out.contains(t));
        let word = if matches!(format, Format::Csv | Format::Json) { "not_implemented" } else { "not implemented" };
        assert!(named && out.contains(word), "{format:?}: {out}");
    }
}

#[test]
fn formats_by_name_and_suffix() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
    assert_eq!(Format::parse("xml"), None);
    for (path, want) in [
        ("a.csv", Some(Format::Csv)),
        ("x/report.JSON", Some(Format::Json)),
        ("a.md", Some(Format::Md)),
        ("a.htm", Some(Format::Html)),
        ("a.txt", Some(Format::Text)),
        ("csv", None),
        ("a.pdf", None),
        ("", None),
    ] {
        assert_eq!(Format::of_path(Path::new(path)).ok(), want, "{path}");
    }
    assert!(render(Format::None, &sample::full(), &Options::default()).is_empty());
}
