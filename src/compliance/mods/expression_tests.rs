//! Expressions and functions by table: what they give, and how they refuse.

use super::load::{ModFolder, ModValue, load};
use crate::{LoadError, QueryRef};
use std::collections::BTreeSet;

/// The value of an expression, as JSON, through the default of a parameter of a mod.
fn value_in(locals: &str, expr: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mod.pp"), "mod \"m\" {\n}\n").unwrap();
    std::fs::write(dir.path().join("note.md"), "a note\n").unwrap();
    std::fs::write(dir.path().join("hello.tpl"), "Hello ${who}!%{ for n in numbers } ${n}%{ endfor }").unwrap();
    let text = format!("{locals}\nquery \"q\" {{\n  sql = \"select 1\"\n  param \"p\" {{\n    default = {expr}\n  }}\n}}\n");
    std::fs::write(dir.path().join("q.pp"), text).unwrap();
    let folder = ModFolder { folder: dir.path().to_owned(), source: None };
    let values = [ModValue { name: "given".into(), text: "[1, 2]".into(), origin: "--var".into() }];
    match load(&[folder], &values, BTreeSet::new()) {
        Ok(loaded) => Ok(loaded.queries[0].params[0].default.as_ref().unwrap().to_string()),
        Err(LoadError::Several(mut errors)) => Err(errors.remove(0).message),
        Err(LoadError::Content(e)) => {
            let hint = e.hint.map(|h| format!(" / {h}")).unwrap_or_default();
            Err(format!("{}{hint}", e.message))
        }
        Err(e) => Err(e.to_string()),
    }
}

fn value(expr: &str) -> Result<String, String> {
    value_in("", expr)
}

#[test]
fn expressions() {
    for (expr, want) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("7 % 4", "3"),
        ("-(3)", "-3"),
        ("-1.5e2", "-150"),
        ("\"3\" + 1", "4"),
        ("9007199254740993 + 0", "9007199254740993"),
        ("9223372036854775807 + 1", "9.223372036854776e+18"),
        ("1 == 1.0", "true"),
        ("1 == \"1\"", "false"),
        ("[1, 2] == [1, 2]", "true"),
        ("{ a = 1 } != { a = 2 }", "true"),
        ("1 < 2 && !(2 <= 1) || false", "true"),
        ("3 >= 3 && 3 > 2", "true"),
        ("true ? \"a\" : \"b\"", "\"a\""),
        ("null == null", "true"),
        ("[1, \"a\", true, null]", "[1,\"a\",true,null]"),
        ("{ b = 1, a = 2, \"c d\" : 3, (\"e\") = 4 }", "{\"a\":2,\"b\":1,\"c d\":3,\"e\":4}"),
        ("[1, 2, 3][1]", "2"),
        ("{ a = { b = [5] } }.a.b[0]", "5"),
        ("{ a = 1 }[\"a\"]", "1"),
        ("[{ a = 1 }, { a = 2 }][*].a", "[1,2]"),
        ("[{ a = [1] }, { a = [2] }].*.a[0]", "[1]"),
        ("[{ a = [1] }, { a = [2] }][*].a[0]", "[1,2]"),
        ("null[*]", "[]"),
        ("\"x\"[*]", "[\"x\"]"),
        ("[for x in [1, 2, 3] : x * x if x != 2]", "[1,9]"),
        ("[for k, v in { b = 1, a = 2 } : \"${k}=${v}\"]", "[\"a=2\",\"b=1\"]"),
        ("[for i, v in [\"x\", \"y\"] : i]", "[0,1]"),
        ("{ for v in [\"x\", \"y\"] : upper(v) => v }", "{\"X\":\"x\",\"Y\":\"y\"}"),
        ("{ for v in [\"ab\", \"ac\", \"b\"] : substr(v, 0, 1) => v... }", "{\"a\":[\"ab\",\"ac\"],\"b\":[\"b\"]}"),
        ("[for x in [1, 2] : [for y in [10, 20] : x + y]]", "[[11,21],[12,22]]"),
        ("\"${1 + 1}\"", "2"),
        ("\"n=${1 + 1}\"", "\"n=2\""),
        ("\"a$${b} %%{c} \\\"q\\\" \\u00e9\\n\"", "\"a${b} %{c} \\\"q\\\" é\\n\""),
        ("\"%{ if true }yes%{ else }no%{ endif }\"", "\"yes\""),
        ("\"%{ if false }%{ if true }x%{ endif }%{ else }no%{ endif }\"", "\"no\""),
        ("\"%{ for x in [1, 2] }<${x}>%{ endfor }\"", "\"<1><2>\""),
        ("\"%{ for k, v in { a = 1 } }${k}${v}%{ endfor }\"", "\"a1\""),
        ("\"a   ${~ \"b\" ~}   c\"", "\"abc\""),
        ("\"a %{~ if true ~} b %{~ endif ~} c\"", "\"abc\""),
    ] {
        assert_eq!(value(expr).as_deref(), Ok(want), "{expr}");
    }
}

#[test]
fn heredocs_keep_and_lose_white_space_as_hcl_says() {
    for (expr, want) in [
        ("<<-EOQ\n      select\n        1\n    EOQ", "\"select\\n  1\\n\""),
        ("<<EOQ\n      select\n    EOQ", "\"      select\\n\""),
        ("<<-EOQ\n    a\n\n    b\n    EOQ", "\"a\\n\\nb\\n\""),
        ("<<-EOQ\n    ${\"x\"}\n    y\n    EOQ", "\"x\\ny\\n\""),
        // A mark takes the white space of its own line only.
        ("<<-EOQ\n    a\n    %{ if true ~}\n    b\n    %{ endif ~}\n    c\n    EOQ", "\"a\\n    b\\n    c\\n\""),
        ("<<-EOQ\n    a -- note\n    %{~ if true }, b%{ endif ~}\n\n    c\n    EOQ", "\"    a -- note\\n, b\\n    c\\n\""),
        ("<<-EOQ\n    $${a} 'it''s \"b\"' \\n $1\n    EOQ", "\"${a} 'it''s \\\"b\\\"' \\\\n $1\\n\""),
    ] {
        assert_eq!(value(expr).as_deref(), Ok(want), "{expr}");
    }
}

#[test]
fn functions() {
    for (expr, want) in [
        ("abs(-3)", "3"),
        ("abs(-3.5)", "3.5"),
        ("alltrue([true, \"true\"])", "true"),
        ("anytrue([false, true])", "true"),
        ("base64decode(base64encode(\"ü\"))", "\"ü\""),
        ("basename(\"a/b.md\")", "\"b.md\""),
        ("can(local.nothing)", "false"),
        ("can(1)", "true"),
        ("ceil(1.2)", "2"),
        ("chomp(\"a\\r\\n\\n\")", "\"a\""),
        ("chunklist([1, 2, 3], 2)", "[[1,2],[3]]"),
        ("coalesce(null, \"\", \"a\", \"b\")", "\"a\""),
        ("coalescelist([], [1])", "[1]"),
        ("compact([\"a\", \"\", null])", "[\"a\"]"),
        ("concat([1], [], [2, 3])", "[1,2,3]"),
        ("contains([\"a\"], \"a\")", "true"),
        ("dirname(\"a/b.md\")", "\"a\""),
        ("distinct([1, 2, 1])", "[1,2]"),
        ("element([\"a\", \"b\"], 3)", "\"b\""),
        ("endswith(\"abc\", \"bc\")", "true"),
        ("file(\"./note.md\")", "\"a note\\n\""),
        ("filebase64(\"note.md\")", "\"YSBub3RlCg==\""),
        ("fileexists(\"nope.md\")", "false"),
        ("flatten([[1, [2]], 3])", "[1,2,3]"),
        ("floor(-1.2)", "-2"),
        (
            "format(\"%s|%5d|%-3s|%05.1f|%q|%t|%v|%%\", \"a\", 42, \"b\", 3.14159, \"q\", true, [1])",
            "\"a|   42|b  |003.1|\\\"q\\\"|true|[1]|%\"",
        ),
        ("format(\"%[2]s %[1]s\", \"a\", \"b\")", "\"b a\""),
        ("format(\"%x %X %b %o %e %+d\", 255, 255, 5, 8, 12345.678, 7)", "\"ff FF 101 10 1.234568e+04 +7\""),
        ("formatlist(\"%s=%s\", [\"a\", \"b\"], \"x\")", "[\"a=x\",\"b=x\"]"),
        ("indent(2, \"a\\nb\")", "\"a\\n  b\""),
        ("index([\"a\", \"b\"], \"b\")", "1"),
        ("join(\", \", [\"a\", 1])", "\"a, 1\""),
        ("jsondecode(\"{\\\"a\\\": [1, 2.5, null]}\")", "{\"a\":[1,2.5,null]}"),
        ("jsonencode({ b = \"<&>\", a = [1, true] })", "\"{\\\"a\\\":[1,true],\\\"b\\\":\\\"\\\\u003c\\\\u0026\\\\u003e\\\"}\""),
        ("keys({ b = 1, a = 2 })", "[\"a\",\"b\"]"),
        ("length(\"häß\") + length([1]) + length({})", "4"),
        ("log(8, 2)", "3"),
        ("lookup({ a = 1 }, \"a\", 2) + lookup({ a = 1 }, \"b\", 2)", "3"),
        ("lower(\"AÜ\")", "\"aü\""),
        ("matchkeys([1, 2], [\"a\", \"b\"], [\"b\"])", "[2]"),
        ("max(1, 3, 2) - min([4, 2]...)", "1"),
        ("merge({ a = 1, b = 1 }, null, { b = 2 })", "{\"a\":1,\"b\":2}"),
        ("one([])", "null"),
        ("parseint(\"ff\", 16)", "255"),
        ("pow(2, 10)", "1024"),
        ("range(3)", "[0,1,2]"),
        ("range(1, 6, 2)", "[1,3,5]"),
        ("range(3, 1)", "[3,2]"),
        ("regex(\"[a-z]+\", \"12abc\")", "\"abc\""),
        ("regex(\"(\\\\d)(\\\\w)\", \"1a\")", "[\"1\",\"a\"]"),
        ("regex(\"(?P<y>\\\\d+)-(?P<m>\\\\d+)\", \"2020-03\")", "{\"m\":\"03\",\"y\":\"2020\"}"),
        ("regexall(\"\\\\d\", \"a1b2\")", "[\"1\",\"2\"]"),
        ("replace(\"a.b.c\", \".\", \"-\")", "\"a-b-c\""),
        ("replace(\"a1b22\", \"/(\\\\d)+/\", \"<$1>\")", "\"a<1>b<2>\""),
        ("reverse([1, 2])", "[2,1]"),
        ("setintersection([1, 2], [2, 3])", "[2]"),
        ("setproduct([1, 2], [\"a\"])", "[[1,\"a\"],[2,\"a\"]]"),
        ("setsubtract([1, 2], [2])", "[1]"),
        ("setunion([2], [1, 2])", "[1,2]"),
        ("signum(-4)", "-1"),
        ("slice([1, 2, 3], 1, 3)", "[2,3]"),
        ("sort([\"b\", \"a\"])", "[\"a\",\"b\"]"),
        ("split(\",\", \"a,b,\")", "[\"a\",\"b\",\"\"]"),
        ("split(\",\", \"\")", "[\"\"]"),
        ("startswith(\"abc\", \"ab\")", "true"),
        ("strcontains(\"abc\", \"x\")", "false"),
        ("strrev(\"aü\")", "\"üa\""),
        ("substr(\"hällo\", 1, 3)", "\"äll\""),
        ("substr(\"hello\", -2, -1)", "\"lo\""),
        ("sum([1, 2.5])", "3.5"),
        ("templatefile(\"hello.tpl\", { who = \"you\", numbers = [1, 2] })", "\"Hello you! 1 2\""),
        ("title(\"hello big world\")", "\"Hello Big World\""),
        ("tobool(\"true\")", "true"),
        ("tonumber(\"4.5\")", "4.5"),
        ("toset([\"b\", \"a\", \"b\"])", "[\"a\",\"b\"]"),
        ("tostring(1.50)", "\"1.5\""),
        ("transpose({ a = [\"x\"], b = [\"x\", \"y\"] })", "{\"x\":[\"a\",\"b\"],\"y\":[\"b\"]}"),
        ("trim(\"?!a?\", \"!?\")", "\"a\""),
        ("trimprefix(\"abc\", \"ab\")", "\"c\""),
        ("trimspace(\" a \\n\")", "\"a\""),
        ("trimsuffix(\"abc\", \"x\")", "\"abc\""),
        ("try(local.nothing, { a = 1 }.b, \"else\")", "\"else\""),
        ("upper(\"aß\")", "\"Aß\""),
        ("urlencode(\"a b/ü\")", "\"a+b%2F%C3%BC\""),
        ("values({ b = 1, a = 2 })", "[2,1]"),
        ("yamldecode(\"a: [1, x]\")", "{\"a\":[1,\"x\"]}"),
        ("zipmap([\"a\", \"b\"], [1, 2])", "{\"a\":1,\"b\":2}"),
    ] {
        assert_eq!(value(expr).as_deref(), Ok(want), "{expr}");
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    for (expr, want) in [
        ("1 / 0", "division by zero"),
        ("1 + \"x\"", "an operand of '+' must be a number, not text"),
        ("[1] && true", "an operand of '&&' must be true or false, not a list"),
        ("!1", "the operand of '!' must be true or false, not a number"),
        ("1 ? 2 : 3", "a condition must be true or false, not a number"),
        ("\"a${[1]}\"", "an interpolation must be text, not a list / join(\", \", …) makes text of a list"),
        ("\"a${null}\"", "an interpolation must be text, not null"),
        ("\"a${query.q}\"", "an interpolation must be text, not a query / name one of its attributes, such as query.q.title"),
        ("query.q", "a default cannot be a query"),
        ("abc", "there is no 'abc' / text stands in quotes: \"abc\""),
        ("loca.x", "there is no 'loca' / did you mean 'local'?"),
        ("local", "'local' alone has no value / name what you mean: local.…"),
        ("local.one", "there is no local 'one'"),
        ("local.tagz", "there is no local 'tagz' / did you mean 'tags'?"),
        ("local.tags.servic", "the map has no key 'servic' / did you mean 'service'?"),
        ("local.tags.service.x", "text has no attributes, so no 'x'"),
        ("local.loop_a", "local.loop_a refers to itself / the way round is local.loop_a → local.loop_b → local.loop_a"),
        ("var.regoin", "mod 'm' has no variable 'regoin' / did you mean 'region'?"),
        (
            "var.region",
            "variable 'region' of mod 'm' has no value / give it one: --var region=…, PP_VAR_region in the environment, or a line in a .ppvars file",
        ),
        ("var.limit", "variable 'limit': must be a number, not text"),
        ("query.qq", "mod 'm' has no query 'qq' / did you mean 'q'?"),
        ("control.q", "mod 'm' has no control 'q' / there is query.q"),
        ("query.q.titel", "a query has no attribute 'titel' / did you mean 'title'?"),
        ("mod.n", "there is no mod 'n'"),
        ("m.table.x", "a mod has no 'table'"),
        ("m.query", "'m.query' must be followed by a name / write m.query.…"),
        ("[1][3]", "the list has no element 3 / its elements are 0 to 0"),
        ("[1][\"a\"]", "a list cannot be indexed by text"),
        ("[for x in 5 : x]", "'for' needs a list or a map, not a number"),
        ("{ for x in [1, 1] : \"k\" => x }", "the key 'k' comes twice / end the value with '...' to collect the values of a key in a list"),
        ("uper(\"a\")", "there is no function 'uper' / did you mean 'upper'?"),
        ("upper()", "upper(): takes one argument, not 0"),
        ("upper([1])", "upper(): the argument must be text, not a list"),
        ("replace(\"a\", \"/(/\", \"\")", "replace(): '(' is not a pattern: unclosed group"),
        ("regex(\"x\", \"a\")", "regex(): the pattern matches nothing"),
        ("join(\",\", [[1]])", "join(): an element must be text, not a list"),
        ("format(\"%d\", \"x\")", "format(): %d needs a whole number, not text"),
        ("format(\"%s\")", "format(): there is no argument for %s"),
        ("format(\"%z\", 1)", "format(): there is no verb %z"),
        ("format(\"a\", 1)", "format(): the template uses 0 of 1 arguments"),
        ("format(\"%\")", "format(): it ends with '%'; write '%%'"),
        ("jsondecode(\"{\")", "jsondecode(): not JSON: line 1, column 1"),
        ("lookup({ abc = 1 }, \"abd\")", "lookup(): the map has no key 'abd' / did you mean 'abc'?"),
        ("merge({}, [])", "merge(): argument 2 must be a map, not a list"),
        ("range(1, 5, 0)", "range(): the step does not lead to the end"),
        ("range(1000000)", "range(): a list of more than 100000 elements"),
        ("max([1]...)...", ""),
        ("tonumber(\"x\")", "tonumber(): the argument must be a number, not text"),
        ("try()", "try() needs an argument"),
        ("file(\"../secret\")", "file(): '../secret' is outside of the mod / a mod reads its own files only"),
        ("file(\"/etc/passwd\")", "file(): '/etc/passwd' is outside of the mod / a mod reads its own files only"),
        ("ns::f()", "functions with '::' are not known"),
        ("local.deep", "a text grows beyond 16 MiB"),
    ] {
        let locals = "locals {\n  tags = { service = \"AWS/IAM\" }\n  loop_a = local.loop_b\n  loop_b = local.loop_a\n  \
                      b0 = \"0123456789012345678901234567890123456789\"\n  b1 = join(\"\", [for i in range(1000) : local.b0])\n  \
                      deep = \"${join(\"\", [for i in range(1000) : local.b1])}!\"\n}\n\
                      variable \"region\" {\n  type = string\n}\nvariable \"limit\" {\n  type = number\n  default = \"many\"\n}\n";
        let error = value_in(locals, expr).unwrap_err();
        if want.is_empty() {
            continue;
        }
        assert_eq!(error, want, "{expr}");
    }
    let missing = value("file(\"./none.md\")").unwrap_err();
    assert!(missing.starts_with("file(): there is no file './none.md' / paths are relative to "), "{missing}");
}

#[test]
fn given_values_reach_their_variables() {
    let with = |kind: &str| value_in(&format!("variable \"given\" {{\n  {kind}\n}}"), "var.given");
    assert_eq!(with("type = list(string)").as_deref(), Ok("[\"1\",\"2\"]"));
    assert_eq!(with("default = []").as_deref(), Ok("[1,2]"));
    assert_eq!(with("type = string").as_deref(), Ok("\"[1, 2]\""));
    let error = with("type = number").unwrap_err();
    assert_eq!(error, "variable 'given': must be a number, not a list");
    assert!(with("type = nonsense").unwrap_err().starts_with("'nonsense' is not a type / string, number"));
}

#[test]
fn a_query_keeps_its_text() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mod.sp"), "mod \"m\" {}\n").unwrap();
    let text = "control \"c\" {\n  sql = <<-EOT\n    select '$.a' as x -- ${upper(\"a\")}\n    where y = $1\n  EOT\n  param \"y\" {}\n}\n";
    std::fs::write(dir.path().join("c.sp"), text).unwrap();
    let loaded = load(&[ModFolder { folder: dir.path().to_owned(), source: None }], &[], BTreeSet::new()).unwrap();
    let QueryRef::Sql(sql) = &loaded.controls[0].query else { panic!("{:?}", loaded.controls[0]) };
    assert_eq!(&**sql, "select '$.a' as x -- A\nwhere y = $1\n");
    assert_eq!(loaded.controls[0].params[0].default, None);
}
