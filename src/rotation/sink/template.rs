//! Texts of sinks with placeholders in braces, filled in from a label. `{{` and `}}` are braces themselves.

use super::Label;
use std::fmt;

/// What can stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Owner,
    OwnerId,
    AccountId,
    Key,
}

/// For access keys, and for storage accounts.
const NAMES: &[(&str, Field)] = &[
    ("user", Field::Owner),
    ("user_id", Field::OwnerId),
    ("account_id", Field::AccountId),
    ("key_id", Field::Key),
    ("account", Field::Owner),
    ("key", Field::Key),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Filled(Field),
}

/// A text with placeholders.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |field: &Field| NAMES.iter().find(|(_, of)| of == field).map_or("", |(name, _)| name);
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Filled(field) => format!("{{{}}}", named(field)),
        });
        fmt::Debug::fmt(&parts.collect::<String>(), f)
    }
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A brace or a name that means nothing.
    pub(crate) fn read(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    literal.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    let mut closed = false;
                    for c in rest.by_ref() {
                        if c == '}' {
                            closed = true;
                            break;
                        }
                        name.push(c);
                    }
                    if !closed {
                        return Err("there is a { without its }; a brace itself is written twice".to_owned());
                    }
                    let Some((_, field)) = NAMES.iter().find(|(known, _)| *known == name) else {
                        let known: Vec<String> = NAMES.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                        let name = name.escape_debug();
                        return Err(format!(
                            "{{{name}}} is no placeholder; there are {}; a brace itself is written twice",
                            known.join(", ")
                        ));
                    };
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Filled(*field));
                }
                '}' => return Err("there is a } without its {; a brace itself is written twice".to_owned()),
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template(parts))
    }

    /// The text for a label; `encode` is applied to what is filled in.
    pub(crate) fn fill(&self, label: &Label, encode: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Filled(Field::Owner) => encode(&label.owner),
            Part::Filled(Field::OwnerId) => encode(&label.owner_id),
            Part::Filled(Field::AccountId) => encode(&label.account_id),
            Part::Filled(Field::Key) => encode(&label.key),
        };
        self.0.iter().map(part).collect()
    }

    /// The text, if it has no placeholder.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Does it begin with something that is filled in?
    pub(crate) fn begins_filled(&self) -> bool {
        matches!(self.0.first(), Some(Part::Filled(_)))
    }

    /// Does each access key have a text of its own?
    pub(crate) fn tells_keys_apart(&self) -> bool {
        self.0.contains(&Part::Filled(Field::Key))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn label(owner: &str) -> Label {
        Label {
            account_id: "111122223333".into(),
            owner: owner.into(),
            owner_id: "AIDAEXAMPLE".into(),
            key: "AKIANEW".into(),
            generation: "AKIANEW".into(),
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, filled) in [
            ("assay/{user}", "assay/[alice]"),
            ("{account_id}-{user_id}-{key_id}", "[111122223333]-[AIDAEXAMPLE]-[AKIANEW]"),
            ("{account}{key}", "[alice][AKIANEW]"),
            ("{{user}} }}{{", "{user} }{"),
            ("plain", "plain"),
            ("", ""),
        ] {
            let template = Template::read(text).unwrap();
            assert_eq!(template.fill(&label("alice"), |v| format!("[{v}]")), filled, "{text}");
        }
        // What is filled in is not read again.
        assert_eq!(Template::read("{user}").unwrap().fill(&label("{key_id}"), str::to_owned), "{key_id}");
        assert_eq!(format!("{:?}", Template::read("a/{user}").unwrap()), r#""a/{user}""#);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, message) in [
            ("{secret}", "{secret} is no placeholder; there are {user}, {user_id}"),
            ("{User}", "{User} is no placeholder"),
            ("{}", "{} is no placeholder"),
            ("{user", "a { without its }"),
            ("a}b", "a } without its {"),
        ] {
            let e = Template::read(text).unwrap_err();
            assert!(e.contains(message), "{text}: {e}");
        }
    }
}
