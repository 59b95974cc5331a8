//! Tokens to a path, by PostgreSQL's grammar and with its messages.

use super::ast::{Arithmetic, Chain, Comparison, Flags, Head, Level, LikeRegex, Method, Path, Predicate, Step, Subscript};
use super::scan::{Lexeme, Scanner, Token, syntax};
use crate::functions::regex;
use crate::functions::row::fail;
use assay_tables::jsonb::{canonical_number, write_string};
use datafusion::common::Result;

/// How deep a path may nest, steps of a chain included: the evaluation is as deep.
const DEPTH: usize = 100;

/// Parses a path.
///
/// # Errors
/// What PostgreSQL says to a text that is no path.
pub(super) fn parse(text: &str) -> Result<Path> {
    let mut scanner = Scanner::new(text);
    let at = scanner.next()?;
    let mut parser = Parser { scanner, at, depth: 0 };
    let lax = match parser.keyword() {
        Some(mode @ ("strict" | "lax")) => {
            let lax = mode == "lax";
            parser.advance()?;
            lax
        }
        None if parser.at.token == Token::End => return fail(format!("invalid input syntax for type jsonpath: \"{text}\"")),
        _ => true,
    };
    let root = match parser.or()? {
        Operand::Value(chain) => chain,
        Operand::Predicate { of, .. } => value_of(of),
    };
    if parser.at.token != Token::End {
        return parser.unexpected();
    }
    check(&root, Place::default())?;
    Ok(Path { lax, root })
}

/// What the grammar tells apart: values and predicates.
enum Operand {
    Value(Chain),
    Predicate {
        of: Predicate,
        /// In parentheses, it may be asked whether it is unknown.
        parenthesized: bool,
    },
}

fn value_of(predicate: Predicate) -> Chain {
    Chain { head: Head::Predicate(Box::new(predicate)), steps: Vec::new() }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    at: Lexeme,
    depth: usize,
}

const KEYWORDS: [&str; 21] = [
    "is", "to", "abs", "lax", "flag", "last", "null", "size", "true", "type", "with", "false", "floor", "double", "exists", "starts",
    "strict", "ceiling", "unknown", "datetime", "keyvalue",
];

impl Parser<'_> {
    fn advance(&mut self) -> Result<()> {
        self.at = self.scanner.next()?;
        Ok(())
    }

    fn unexpected<T>(&self) -> Result<T> {
        syntax("syntax error", &self.at.near)
    }

    /// The keyword the current name is; JSON's literals are lower case.
    fn keyword(&self) -> Option<&'static str> {
        let Token::Name(name) = &self.at.token else { return None };
        if name.eq_ignore_ascii_case("like_regex") {
            return Some("like_regex");
        }
        let found = KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(name))?;
        (!matches!(*found, "null" | "true" | "false") || name == found).then_some(*found)
    }

    fn is(&self, special: char) -> bool {
        self.at.token == Token::Special(special)
    }

    fn operator(&self) -> Option<&'static str> {
        if let Token::Operator(operator) = self.at.token { Some(operator) } else { None }
    }

    fn eat(&mut self, special: char) -> Result<bool> {
        let found = self.is(special);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, special: char) -> Result<()> {
        if self.eat(special)? { Ok(()) } else { self.unexpected() }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        // A level of nesting takes more stack than a step.
        self.depth += 2;
        if self.depth > DEPTH {
            return fail("stack depth limit exceeded");
        }
        let parsed = parse(self);
        self.depth -= 2;
        parsed
    }

    fn predicate(&self, operand: Operand) -> Result<Predicate> {
        match operand {
            Operand::Predicate { of, .. } => Ok(of),
            Operand::Value(_) => self.unexpected(),
        }
    }

    fn value(&self, operand: Operand) -> Result<Chain> {
        match operand {
            Operand::Value(chain) => Ok(chain),
            Operand::Predicate { .. } => self.unexpected(),
        }
    }

    fn or(&mut self) -> Result<Operand> {
        let mut left = self.and()?;
        let mut width = 0;
        while self.operator() == Some("||") {
            let first = self.predicate(left)?;
            self.advance()?;
            let second = self.and()?;
            let second = self.predicate(second)?;
            left = Operand::Predicate { of: Predicate::Or(Box::new(first), Box::new(second)), parenthesized: false };
            width = self.wider(width)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Operand> {
        let mut left = self.comparison()?;
        let mut width = 0;
        while self.operator() == Some("&&") {
            let first = self.predicate(left)?;
            self.advance()?;
            let second = self.comparison()?;
            let second = self.predicate(second)?;
            left = Operand::Predicate { of: Predicate::And(Box::new(first), Box::new(second)), parenthesized: false };
            width = self.wider(width)?;
        }
        Ok(left)
    }

    /// Operators in a row nest to the left.
    fn wider(&self, width: usize) -> Result<usize> {
        if self.depth + width >= DEPTH { fail("stack depth limit exceeded") } else { Ok(width + 1) }
    }

    fn comparison(&mut self) -> Result<Operand> {
        let left = self.sum()?;
        let comparison = match self.operator() {
            Some("==") => Comparison::Equal,
            Some("!=") => Comparison::NotEqual,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            _ => return self.test(left),
        };
        let left = self.value(left)?;
        self.advance()?;
        let right = self.sum()?;
        let right = self.value(right)?;
        Ok(Operand::Predicate { of: Predicate::Compare(comparison, left, right), parenthesized: false })
    }

    /// `is unknown`, `starts with`, `like_regex`.
    fn test(&mut self, left: Operand) -> Result<Operand> {
        let of = match (self.keyword(), left) {
            (Some("is"), Operand::Predicate { of, parenthesized: true }) => {
                self.advance()?;
                if self.keyword() != Some("unknown") {
                    return self.unexpected();
                }
                self.advance()?;
                Predicate::IsUnknown(Box::new(of))
            }
            (Some("starts"), Operand::Value(left)) => {
                self.advance()?;
                if self.keyword() != Some("with") {
                    return self.unexpected();
                }
                self.advance()?;
                let head = match &self.at.token {
                    Token::String(text) => Head::Literal(quoted(text)),
                    Token::Variable(name) => Head::Variable(name.clone()),
                    _ => return self.unexpected(),
                };
                self.advance()?;
                Predicate::StartsWith(left, Chain { head, steps: Vec::new() })
            }
            (Some("like_regex"), Operand::Value(left)) => {
                self.advance()?;
                let Token::String(pattern) = self.at.token.clone() else { return self.unexpected() };
                self.advance()?;
                let mut flags = Flags::default();
                if self.keyword() == Some("flag") {
                    self.advance()?;
                    let Token::String(letters) = &self.at.token else { return self.unexpected() };
                    flags = flags_of(letters)?;
                    self.advance()?;
                }
                Predicate::LikeRegex(left, Box::new(like_regex(pattern, flags)?))
            }
            (_, left) => return Ok(left),
        };
        Ok(Operand::Predicate { of, parenthesized: false })
    }

    fn sum(&mut self) -> Result<Operand> {
        let mut left = self.product()?;
        let mut width = 0;
        while let Token::Special(sign @ ('+' | '-')) = self.at.token {
            let operator = if sign == '+' { Arithmetic::Add } else { Arithmetic::Sub };
            let first = self.value(left)?;
            self.advance()?;
            let second = self.product()?;
            left = Operand::Value(arithmetic(operator, first, self.value(second)?));
            width = self.wider(width)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Operand> {
        let mut left = self.unary()?;
        let mut width = 0;
        while let Token::Special(sign @ ('*' | '/' | '%')) = self.at.token {
            let operator = match sign {
                '*' => Arithmetic::Mul,
                '/' => Arithmetic::Div,
                _ => Arithmetic::Mod,
            };
            let first = self.value(left)?;
            self.advance()?;
            let second = self.unary()?;
            left = Operand::Value(arithmetic(operator, first, self.value(second)?));
            width = self.wider(width)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Operand> {
        if let Token::Special(sign @ ('+' | '-')) = self.at.token {
            self.advance()?;
            let operand = self.deeper(Self::unary)?;
            return Ok(Operand::Value(signed(sign == '-', self.value(operand)?)));
        }
        if self.operator() == Some("!") {
            self.advance()?;
            if !self.is('(') && self.keyword() != Some("exists") {
                return self.unexpected();
            }
            let of = self.deeper(Self::delimited)?;
            return Ok(Operand::Predicate { of: Predicate::Not(Box::new(of)), parenthesized: false });
        }
        self.accessed()
    }

    /// `(predicate)` or `exists (value)`.
    fn delimited(&mut self) -> Result<Predicate> {
        if self.keyword() == Some("exists") {
            self.advance()?;
            self.expect('(')?;
            let of = self.deeper(Self::or)?;
            let of = self.value(of)?;
            self.expect(')')?;
            return Ok(Predicate::Exists(of));
        }
        self.expect('(')?;
        let of = self.deeper(Self::or)?;
        let of = self.predicate(of)?;
        self.expect(')')?;
        Ok(of)
    }

    /// A primary and its accessors.
    fn accessed(&mut self) -> Result<Operand> {
        let primary = match &self.at.token {
            Token::Special('(') => {
                self.advance()?;
                let inner = self.deeper(Self::or)?;
                self.expect(')')?;
                match inner {
                    Operand::Predicate { of, .. } if self.accessor_follows() => Operand::Value(value_of(of)),
                    Operand::Predicate { of, .. } => Operand::Predicate { of, parenthesized: true },
                    value => value,
                }
            }
            Token::Name(_) if self.keyword() == Some("exists") => {
                return Ok(Operand::Predicate { of: self.deeper(Self::delimited)?, parenthesized: false });
            }
            _ => Operand::Value(Chain { head: self.primary()?, steps: Vec::new() }),
        };
        let Operand::Value(mut chain) = primary else { return Ok(primary) };
        while self.accessor_follows() {
            if self.depth + chain.steps.len() >= DEPTH {
                return fail("stack depth limit exceeded");
            }
            let step = self.accessor()?;
            chain.steps.push(step);
        }
        Ok(Operand::Value(chain))
    }

    fn accessor_follows(&self) -> bool {
        self.is('.') || self.is('[') || self.is('?')
    }

    fn primary(&mut self) -> Result<Head> {
        let head = match (&self.at.token, self.keyword()) {
            (Token::String(text), _) => Head::Literal(quoted(text)),
            (Token::Integer(digits) | Token::Number(digits), _) => match canonical_number(digits) {
                Some(number) => Head::Literal(number),
                None => return fail("value overflows numeric format"),
            },
            (Token::Variable(name), _) => Head::Variable(name.clone()),
            (Token::Special('$'), _) => Head::Root,
            (Token::Special('@'), _) => Head::Current,
            (_, Some("last")) => Head::Last,
            (_, Some(word @ ("null" | "true" | "false"))) => Head::Literal(word.to_string()),
            _ => return self.unexpected(),
        };
        self.advance()?;
        Ok(head)
    }

    fn accessor(&mut self) -> Result<Step> {
        if self.eat('[')? {
            return self.subscripts();
        }
        if self.eat('?')? {
            self.expect('(')?;
            let filter = self.deeper(Self::or)?;
            let filter = self.predicate(filter)?;
            self.expect(')')?;
            return Ok(Step::Filter(filter));
        }
        self.expect('.')?;
        if self.eat('*')? {
            return Ok(Step::AnyKey);
        }
        if self.operator() == Some("**") {
            self.advance()?;
            return self.levels();
        }
        let (name, keyword) = match &self.at.token {
            Token::Name(name) => (name.clone(), self.keyword()),
            Token::String(name) => (name.clone(), None),
            _ => return self.unexpected(),
        };
        self.advance()?;
        if !self.is('(') {
            return Ok(Step::Key(name));
        }
        let method = match keyword {
            Some("type") => Method::Type,
            Some("size") => Method::Size,
            Some("abs") => Method::Abs,
            Some("floor") => Method::Floor,
            Some("ceiling") => Method::Ceiling,
            Some("double") => Method::Double,
            Some("keyvalue") => Method::Keyvalue,
            Some("datetime") => {
                self.advance()?;
                let template = if let Token::String(template) = &self.at.token { Some(template.clone()) } else { None };
                if template.is_some() {
                    self.advance()?;
                }
                self.expect(')')?;
                return Ok(Step::Datetime(template));
            }
            _ => return self.unexpected(),
        };
        self.advance()?;
        self.expect(')')?;
        Ok(Step::Method(method))
    }

    fn subscripts(&mut self) -> Result<Step> {
        if self.eat('*')? {
            self.expect(']')?;
            return Ok(Step::AnyElement);
        }
        let mut all = Vec::new();
        loop {
            let from = self.deeper(Self::sum)?;
            let from = self.value(from)?;
            let mut to = None;
            if self.keyword() == Some("to") {
                self.advance()?;
                let end = self.deeper(Self::sum)?;
                to = Some(self.value(end)?);
            }
            all.push(Subscript { from, to });
            if !self.eat(',')? {
                break;
            }
        }
        self.expect(']')?;
        Ok(Step::Subscripts(all))
    }

    fn levels(&mut self) -> Result<Step> {
        if !self.eat('{')? {
            return Ok(Step::Any { first: Level::At(0), last: Level::Last });
        }
        let first = self.level()?;
        let mut last = first;
        if self.keyword() == Some("to") {
            self.advance()?;
            last = self.level()?;
        }
        self.expect('}')?;
        Ok(Step::Any { first, last })
    }

    fn level(&mut self) -> Result<Level> {
        let level = match &self.at.token {
            Token::Integer(digits) => match digits.parse::<i32>() {
                Ok(level) => Level::At(level.unsigned_abs()),
                Err(_) => return fail(format!("value \"{digits}\" is out of range for type integer")),
            },
            Token::Name(_) if self.keyword() == Some("last") => Level::Last,
            _ => return self.unexpected(),
        };
        self.advance()?;
        Ok(level)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

fn arithmetic(operator: Arithmetic, left: Chain, right: Chain) -> Chain {
    Chain { head: Head::Arithmetic(operator, Box::new(left), Box::new(right)), steps: Vec::new() }
}

/// The sign of a literal number is its own.
fn signed(negative: bool, of: Chain) -> Chain {
    match &of {
        Chain { head: Head::Literal(text), steps } if steps.is_empty() && text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            if !negative {
                return of;
            }
            let text = match text.strip_prefix('-') {
                Some(positive) => positive.to_string(),
                None if text.bytes().all(|b| matches!(b, b'0' | b'.')) => text.clone(),
                None => format!("-{text}"),
            };
            Chain { head: Head::Literal(text), steps: Vec::new() }
        }
        _ => Chain { head: Head::Sign { negative, of: Box::new(of) }, steps: Vec::new() },
    }
}

fn flags_of(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.insensitive = true,
            's' => flags.dot_all = true,
            'm' => flags.lines = true,
            'x' => flags.expanded = true,
            'q' => flags.quoted = true,
            _ => return fail("invalid input syntax for type jsonpath"),
        }
    }
    Ok(flags)
}

fn like_regex(pattern: String, flags: Flags) -> Result<LikeRegex> {
    if flags.expanded && !flags.quoted {
        return fail("XQuery \"x\" flag (expanded regular expressions) is not implemented");
    }
    let mut options = String::new();
    for (set, letter) in [(flags.insensitive, 'i'), (flags.quoted, 'q'), (!flags.dot_all, 'p'), (flags.lines, 'w')] {
        if set {
            options.push(letter);
        }
    }
    let regex = regex::compile(&pattern, &options)?;
    Ok(LikeRegex { pattern, flags, regex })
}

/// Where an expression stands.
#[derive(Clone, Copy, Default)]
struct Place {
    filter: bool,
    subscript: bool,
}

/// `@` stands in filters only, `last` in subscripts only.
fn check(chain: &Chain, place: Place) -> Result<()> {
    match &chain.head {
        Head::Current if !place.filter => return fail("@ is not allowed in root expressions"),
        Head::Last if !place.subscript => return fail("LAST is allowed only in array subscripts"),
        Head::Literal(_) | Head::Variable(_) | Head::Root | Head::Current | Head::Last => {}
        Head::Sign { of, .. } => check(of, place)?,
        Head::Arithmetic(_, left, right) => {
            check(left, place)?;
            check(right, place)?;
        }
        Head::Predicate(predicate) => check_predicate(predicate, place)?,
    }
    for step in &chain.steps {
        match step {
            Step::Filter(predicate) => check_predicate(predicate, Place { filter: true, ..place })?,
            Step::Subscripts(subscripts) => {
                for subscript in subscripts {
                    for chain in std::iter::once(&subscript.from).chain(&subscript.to) {
                        check(chain, Place { subscript: true, ..place })?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_predicate(predicate: &Predicate, place: Place) -> Result<()> {
    match predicate {
        Predicate::And(left, right) | Predicate::Or(left, right) => {
            check_predicate(left, place)?;
            check_predicate(right, place)
        }
        Predicate::Not(of) | Predicate::IsUnknown(of) => check_predicate(of, place),
        Predicate::Compare(_, left, right) | Predicate::StartsWith(left, right) => {
            check(left, place)?;
            check(right, place)
        }
        Predicate::Exists(of) | Predicate::LikeRegex(of, _) => check(of, place),
    }
}
