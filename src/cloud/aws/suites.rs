//! botocore's official protocol and endpoint suites, from the folder named by `ASSAY_TEST_DATA` (skipped without it), and a sample of
//! our own in the same form, always. Cases that botocore itself ignores are ignored; those of request compression are left out by name.

mod compare;
mod tar;

use super::embedded::{self, ServiceFacts};
use super::endpoint;
use super::service::{Operation, Protocol, Service};
use super::{client, failure, json, request, response, xml};
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use compare::{as_ours, same_form, same_json, same_xml};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::PathBuf;

const PROTOCOLS: [&str; 7] = ["ec2", "json", "json_1_0", "json_1_0-query-compatible", "query", "rest-json", "rest-xml"];

fn test_data() -> Option<PathBuf> {
    let folder = std::env::var_os("ASSAY_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: ASSAY_TEST_DATA does not name the folder of the official suites");
    }
    folder
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// A service with one operation, as a suite describes it, written like a block of the embedded file.
fn service(suite: &Value, case: &Value) -> &'static Service {
    let mut given = case["given"].clone();
    let name = given["name"].as_str().unwrap().to_owned();
    if suite["metadata"]["protocol"] == "query" && given.get("output").is_some() {
        given["output"]["resultWrapper"] = format!("{name}Result").into();
    }
    let errors: Vec<_> = given["errors"].as_array().into_iter().flatten().map(|e| e["shape"].clone()).collect();
    given["errors"] = errors.into();
    let mut text = format!("M - {}\nO {name} {given}\n", suite["metadata"]);
    for (name, shape) in suite["shapes"].as_object().into_iter().flatten() {
        text.push_str(&format!("S {name} {shape}\n"));
    }
    let facts = Box::leak(Box::new(ServiceFacts::read(text.leak())));
    Box::leak(Box::new(Service::new("suite", facts).unwrap()))
}

fn operation(suite: &Value, case: &Value) -> &'static Operation {
    service(suite, case).operation(case["given"]["name"].as_str().unwrap()).unwrap()
}

fn check_input(suite: &Value, case: &Value) -> Result<(), String> {
    let name = case["given"]["name"].as_str().unwrap();
    let op = service(suite, case).operation(name).map_err(|e| e.message)?;
    let input = op.input.map_or_else(|| json!({}), |shape| as_ours(shape, &case["params"]));
    let zero = || request::uuid(0, 0);
    let mut got = request::build_with(op, &input, &zero).map_err(|e| e.to_string())?;
    let at = suite["clientEndpoint"].as_str().unwrap_or("https://example.com").to_owned();
    let at = aws_smithy_types::endpoint::Endpoint::builder().url(at).build();
    op.service.official().update_endpoint(&mut got, &at, &ConfigBag::base()).map_err(|e| e.to_string())?;
    let want = &case["serialized"];
    let mut faults = Vec::new();
    let mut differ = |what: &str, got: &str, want: &str| faults.push(format!("{what}: got {got:?}, want {want:?}"));

    let prefix = client::prefix_of(op, &input).map_err(|e| e.message)?.unwrap_or_default();
    let uri = got.uri().split_once("://").map_or(got.uri(), |(_, rest)| rest);
    let (host, path) = uri.find(['/', '?']).map_or((uri, "/"), |i| uri.split_at(i));
    if let Some(w) = want["host"].as_str().map(|w| w.split('/').next().unwrap_or(w)) {
        // the suites check one prefix twice, once with a header in its place
        if format!("{prefix}{host}") != w && !w.starts_with(host) {
            differ("host", &format!("{prefix}{host}"), w);
        }
    }
    if let Some(w) = want["method"].as_str().filter(|w| *w != got.method()) {
        differ("method", got.method(), w);
    }
    if let Some(w) = want["uri"].as_str() {
        let parts = |u: &str| u.split_once('?').map_or((u.to_owned(), String::new()), |(p, q)| (p.to_owned(), q.to_owned()));
        let ((path, query), (want_path, want_query)) = (parts(path), parts(w));
        if path != want_path || !same_form(&query, &want_query) {
            differ("uri", uri, w);
        }
    }
    let body = String::from_utf8_lossy(got.body().bytes().unwrap_or_default()).into_owned();
    if let Some(w) = want["body"].as_str() {
        let same = match op.service.protocol {
            Protocol::Query | Protocol::Ec2 => same_form(&body, w),
            Protocol::RestXml if w.trim_start().starts_with('<') => same_xml(&body, w),
            _ => body == w || matches!((serde_json::from_str::<Value>(&body), serde_json::from_str::<Value>(w)), (Ok(a), Ok(b)) if a == b),
        };
        if !same {
            differ("body", &body, w);
        }
    }
    for (name, w) in want["headers"].as_object().into_iter().flatten() {
        let loose = |s: &str| s.replace(", ", ",").replace("; charset=utf-8", "").replace('"', "");
        let all = got.headers().get_all(name).collect::<Vec<_>>().join(", ");
        if loose(&all) != loose(w.as_str().unwrap()) {
            differ(name, &all, w.as_str().unwrap());
        }
    }
    for name in want["forbidHeaders"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(v) = got.headers().get(name) {
            differ(name, v, "no such header");
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join(" | ")) }
}

fn response_of(case: &Value) -> Response {
    let r = &case["response"];
    let status = u16::try_from(r["status_code"].as_u64().unwrap()).unwrap();
    let mut out = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::from(r["body"].as_str().unwrap_or_default()));
    for (name, v) in r["headers"].as_object().into_iter().flatten() {
        out.headers_mut().append(name.to_lowercase(), v.as_str().unwrap().to_owned());
    }
    out
}

fn check_output(suite: &Value, case: &Value) -> Result<(), String> {
    let op = operation(suite, case);
    let r = response_of(case);
    if case.get("error").is_some() {
        return check_error(suite, case, op, &r);
    }
    let got = response::read(op, &r).map_err(|e| format!("{e:?}"))?;
    let want = case.get("result").cloned().unwrap_or_else(|| json!({}));
    let want = op.output.map_or(want.clone(), |shape| as_ours(shape, &want));
    if same_json(&got, &want) { Ok(()) } else { Err(format!("got {got}, want {want}")) }
}

fn check_error(suite: &Value, case: &Value, op: &'static Operation, r: &Response) -> Result<(), String> {
    let e = failure::of_response(op, r).into_error();
    let code = case["errorCode"].as_str().unwrap_or_default();
    if !code.is_empty() && e.code != code {
        return Err(format!("code: got {}, want {code}", e.code));
    }
    if let Some(message) = case["errorMessage"].as_str().filter(|m| !m.is_empty() && *m != e.message) {
        return Err(format!("message: got {}, want {message}", e.message));
    }
    // the members of the error too, though calls have no use for them: they go through the same readers
    let names = suite["shapes"].as_object().into_iter().flatten();
    let is_it = |n: &str, s: &Value| s["exception"] == true && s["error"]["code"].as_str().unwrap_or(n) == code;
    let Some((name, _)) = names.into_iter().find(|(n, s)| is_it(n, s)) else { return Ok(()) };
    let shape = op.service.shape(name);
    let body = r.body().bytes().unwrap_or_default();
    let inner = std::str::from_utf8(body).ok().and_then(|b| b.get(b.find("<Error>")?..b.rfind("</Error>")? + 8));
    let got = match op.service.protocol {
        Protocol::Json10 | Protocol::Json11 => json::read(body, shape),
        Protocol::RestJson => response::rest(shape, shape.structure().unwrap(), r, body),
        Protocol::RestXml => response::rest(shape, shape.structure().unwrap(), r, inner.map_or(body, str::as_bytes)),
        Protocol::Query | Protocol::Ec2 => xml::read(inner.map_or(body, str::as_bytes), shape, &xml::Root::Itself),
    };
    let (got, want) = (got.map_err(|e| format!("{e:?}"))?, as_ours(shape, &case["error"]));
    if same_json(&got, &want) { Ok(()) } else { Err(format!("error: got {got}, want {want}")) }
}

/// What the readers and serializers are not for.
fn left_out(case: &Value) -> bool {
    case["given"].get("requestcompression").is_some()
}

fn check_suite(side: &str, suites: &Value, ignored: &dyn Fn(&str) -> bool) -> (usize, Vec<String>) {
    let (mut passed, mut failed) = (0, Vec::new());
    for suite in suites.as_array().unwrap() {
        for case in suite["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            if ignored(id) || (side == "input" && left_out(case)) {
                continue;
            }
            match if side == "input" { check_input(suite, case) } else { check_output(suite, case) } {
                Ok(()) => passed += 1,
                Err(e) => failed.push(format!("{side} {id}: {e}")),
            }
        }
    }
    (passed, failed)
}

#[test]
fn official_protocol_suites() {
    let Some(root) = test_data().map(|d| d.join("aws-protocol-tests/tests/unit/protocols")) else { return };
    let ignore = read(root.join("protocol-tests-ignore-list.json"));
    let (mut counts, mut failed) = (Vec::new(), Vec::new());
    for side in ["input", "output"] {
        for protocol in PROTOCOLS {
            let names = ["general", protocol].map(|p| if p == "general" { &ignore[p] } else { &ignore["protocols"][p] });
            let skipped: HashSet<&str> =
                names.iter().flat_map(|l| l[side]["cases"].as_array()).flatten().filter_map(Value::as_str).collect();
            let (n, f) = check_suite(side, &read(root.join(format!("{side}/{protocol}.json"))), &|id| skipped.contains(id));
            println!("{side} {protocol}: {n} passed, {} failed, {} ignored by botocore", f.len(), skipped.len());
            counts.push(n);
            failed.extend(f);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // as many as the suites have: none is skipped by accident
    assert_eq!(counts, [24, 51, 19, 1, 35, 104, 84, 27, 52, 26, 2, 36, 82, 72]);
}

#[test]
fn own_protocol_sample() {
    let sample: Value = serde_json::from_str(include_str!("testdata/protocols.json")).unwrap();
    let mut passed = 0;
    for side in ["input", "output"] {
        let (n, failed) = check_suite(side, &sample[side], &|_| false);
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        passed += n;
    }
    assert_eq!(passed, 17);
}

#[test]
fn official_endpoint_cases() {
    let Some(file) = test_data().map(|d| d.join("aws-endpoint-tests.tar.zst")) else { return };
    let archive = zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap();
    let (mut passed, mut failed, mut services, mut gone) = (0, Vec::new(), 0, Vec::new());
    for (path, content) in tar::files(&archive) {
        let Some(service) = path.strip_suffix("/endpoint-tests-1.json").and_then(|p| p.rsplit('/').next()) else { continue };
        let suite: Value = serde_json::from_slice(content).unwrap();
        let Some((_, facts)) = embedded::service(service) else {
            gone.push((service.to_owned(), suite["testCases"].as_array().unwrap().len()));
            continue;
        };
        services += 1;
        for case in suite["testCases"].as_array().unwrap() {
            let none = Map::new();
            let got = endpoint::resolve(facts.rules.value(), embedded::partitions(), case["params"].as_object().unwrap_or(&none));
            let want = &case["expect"];
            let same = match (&got, want["error"].as_str()) {
                (Err(e), Some(w)) => e == w,
                (Ok(e), None) => {
                    let w = &want["endpoint"];
                    let all = |k: &str, got: &Map<String, Value>| w.get(k).map_or(got.is_empty(), |w| w.as_object() == Some(got));
                    w["url"] == e.url.as_str() && all("properties", &e.properties) && all("headers", &e.headers)
                }
                _ => false,
            };
            if same {
                passed += 1;
            } else {
                failed.push(format!("{service}: {}: got {got:?}, want {want}", case["documentation"]));
            }
        }
    }
    println!("{services} services: {passed} endpoint cases passed, {} differ", failed.len());
    // The cases are of botocore 1.43.66: with its models all of them pass. Since then it has dropped services and changed rules.
    let count = |service: &str| failed.iter().filter(|f: &&String| f.starts_with(&format!("{service}:"))).count();
    let known = [("acm", 2), ("dynamodb", 51), ("geo-maps", 8), ("kinesis", 2), ("organizations", 24)];
    assert_eq!(known.map(|(service, _)| (service, count(service))), known, "{}", failed.join("\n"));
    assert_eq!(failed.len(), known.iter().map(|(_, n)| n).sum::<usize>(), "{}", failed.join("\n"));
    assert_eq!(gone, [("finspace-data", 25), ("finspace", 25), ("tnb", 21)].map(|(s, n)| (s.to_owned(), n)));
    assert_eq!(passed + failed.len() + gone.iter().map(|(_, n)| n).sum::<usize>(), 14_027);
}

/// No body makes a reader panic, and a body that lost its end is never taken for an answer.
#[test]
fn truncated_and_damaged_answers() {
    let sample: Value = serde_json::from_str(include_str!("testdata/protocols.json")).unwrap();
    for suite in sample["output"].as_array().unwrap() {
        for case in suite["cases"].as_array().unwrap() {
            let op = operation(suite, case);
            let mut r = response_of(case);
            let whole = r.body().bytes().unwrap().to_vec();
            let end = whole.trim_ascii_end().len();
            // nobody can see that a raw payload is short
            let cuts = if case["id"].as_str().unwrap().contains("Raw") { 0..0 } else { 1..end };
            for cut in cuts {
                *r.body_mut() = SdkBody::from(&whole[..cut]);
                let got = super::plugins::read_answer(op, &r);
                assert!(got.is_err(), "{}: {:?} -> {got:?}", case["id"], String::from_utf8_lossy(&whole[..cut]));
            }
            for at in 0..end {
                for byte in [0, b'<', b'>', b'"', b'&', b'{', b'}', b'9', 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] = byte;
                    *r.body_mut() = SdkBody::from(damaged);
                    let _ = super::plugins::read_answer(op, &r);
                }
            }
        }
    }
}

/// Decoding speed in megabytes a second, for `cargo test --release -p assay-cloud -- --ignored --nocapture speed`.
#[test]
#[ignore = "measures; run it in a release build"]
fn speed() {
    let op = |s: &str, o: &str| Service::find(s).unwrap().operation(o).unwrap();
    let instance = include_str!("testdata/instance.xml");
    let instances = instance.repeat(1000);
    let xml = format!("<DescribeInstancesResponse><reservationSet>{instances}</reservationSet></DescribeInstancesResponse>");
    let function = include_str!("testdata/function.json");
    let json = format!("{{\"Functions\":[{}]}}", vec![function; 3000].join(","));
    for (service, operation, body, least) in [("ec2", "DescribeInstances", xml, 20.0), ("lambda", "ListFunctions", json, 25.0)] {
        let op = op(service, operation);
        let megabytes = f64::from(u32::try_from(body.len()).unwrap()) / 1e6;
        let r = Response::new(StatusCode::try_from(200).unwrap(), SdkBody::from(body));
        let best = (0..5).map(|_| {
            let start = std::time::Instant::now();
            response::read(op, &r).unwrap();
            start.elapsed().as_secs_f64()
        });
        let best = best.fold(f64::MAX, f64::min);
        println!("{service} {operation}: {megabytes:.1} MB at {:.0} MB/s", megabytes / best);
        assert!(megabytes / best >= least, "slower than {least} MB/s");
    }
}
