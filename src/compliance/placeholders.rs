//! Finds `$name` and `$1` in SQL, knowing strings, quoted names, comments and dollar quotes.

/// Placeholders without their `$`, each once, in the order of their first use.
pub(crate) fn placeholders(sql: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let bytes = sql.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'\'' => {
                let escapes = i > 0 && matches!(bytes[i - 1], b'e' | b'E') && (i < 2 || !is_word(bytes[i - 2]));
                i = after_quoted(bytes, i, b'\'', escapes);
            }
            b'"' => i = after_quoted(bytes, i, b'"', false),
            b'-' if bytes.get(i + 1) == Some(&b'-') => i = sql[i..].find('\n').map_or(bytes.len(), |n| i + n),
            b'/' if bytes.get(i + 1) == Some(&b'*') => i = after_comment(bytes, i),
            b'$' if i > 0 && is_word(bytes[i - 1]) => i += 1,
            b'$' => {
                let end = (i + 1..bytes.len()).find(|j| !is_word(bytes[*j])).unwrap_or(bytes.len());
                let name = &sql[i + 1..end];
                if bytes.get(end) == Some(&b'$') && !name.starts_with(|c: char| c.is_ascii_digit()) {
                    let quote = &sql[i..=end];
                    i = sql[end + 1..].find(quote).map_or(bytes.len(), |n| end + 1 + n + quote.len());
                    continue;
                }
                if !name.is_empty() && !found.iter().any(|f| f == name) {
                    found.push(name.to_owned());
                }
                i = end;
            }
            _ => i += 1,
        }
    }
    found
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn after_quoted(bytes: &[u8], start: usize, quote: u8, escapes: bool) -> usize {
    let mut i = start + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if escapes => i += 2,
            b if b == quote && bytes.get(i + 1) == Some(&quote) => i += 2,
            b if b == quote => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// PostgreSQL's block comments nest.
fn after_comment(bytes: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0usize);
    while i < bytes.len() {
        match (bytes[i], bytes.get(i + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                i += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn finds_them_only_where_they_are() {
        for (sql, want) in [
            ("select $max_age_days, $b, $max_age_days", "max_age_days b"),
            ("select $2 + $1", "2 1"),
            ("select '$a', 'it''s $b', \"$c\", E'\\'$d', e'x' || $e", "e"),
            ("select 1 -- $a\n, $b /* $c /* $d */ $e */ + $f", "b f"),
            ("select $$ $a $$, $q$ $b $$ $q$, $c", "c"),
            ("select a$b, 'unterminated $c", ""),
            ("select 'ü' || $größe", "gr"),
            ("$", ""),
            ("/* $a", ""),
        ] {
            assert_eq!(placeholders(sql).join(" "), want, "{sql}");
        }
    }
}
