//! A parsed path.

use fancy_regex::Regex;

/// `[strict|lax] expression`.
#[derive(Debug)]
pub(super) struct Path {
    /// Structural errors are no errors, arrays are unwrapped and scalars wrapped.
    pub(super) lax: bool,
    pub(super) root: Chain,
}

/// A value and the accessors behind it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) head: Head,
    pub(super) steps: Vec<Step>,
}

/// What a chain begins with.
#[derive(Debug)]
pub(super) enum Head {
    /// A scalar, as JSON.
    Literal(String),
    /// `$name`.
    Variable(String),
    /// `$`.
    Root,
    /// `@`.
    Current,
    /// `last`.
    Last,
    /// `+x`, or `-x`.
    Sign { negative: bool, of: Box<Chain> },
    /// `x + y`.
    Arithmetic(Arithmetic, Box<Chain>, Box<Chain>),
    /// A predicate as a value.
    Predicate(Box<Predicate>),
}

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

impl Arithmetic {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Sub => "-",
            Arithmetic::Mul => "*",
            Arithmetic::Div => "/",
            Arithmetic::Mod => "%",
        }
    }
}

/// An accessor.
#[derive(Debug)]
pub(super) enum Step {
    /// `.name`.
    Key(String),
    /// `.*`.
    AnyKey,
    /// `[*]`.
    AnyElement,
    /// `[1, 3 to last]`.
    Subscripts(Vec<Subscript>),
    /// `.**{first to last}`.
    Any { first: Level, last: Level },
    /// `.type()` and its like.
    Method(Method),
    /// `.datetime([template])`.
    Datetime(Option<String>),
    /// `? (predicate)`.
    Filter(Predicate),
}

/// A level below a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    At(u32),
    /// That of the leaves.
    Last,
}

/// `from`, or `from to to`.
#[derive(Debug)]
pub(super) struct Subscript {
    pub(super) from: Chain,
    pub(super) to: Option<Chain>,
}

/// A method without argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    Keyvalue,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Abs => "abs",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::Keyvalue => "keyvalue",
        }
    }
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

/// What is true, false or unknown.
#[derive(Debug)]
pub(super) enum Predicate {
    And(Box<Predicate>, Box<Predicate>),
    Or(Box<Predicate>, Box<Predicate>),
    Not(Box<Predicate>),
    IsUnknown(Box<Predicate>),
    Compare(Comparison, Chain, Chain),
    Exists(Chain),
    /// The prefix is a string or a variable.
    StartsWith(Chain, Chain),
    LikeRegex(Chain, Box<LikeRegex>),
}

/// The pattern of `like_regex`.
#[derive(Debug)]
pub(super) struct LikeRegex {
    pub(super) pattern: String,
    pub(super) flags: Flags,
    pub(super) regex: Regex,
}

/// Flags of `like_regex`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) insensitive: bool,
    pub(super) dot_all: bool,
    pub(super) lines: bool,
    pub(super) expanded: bool,
    pub(super) quoted: bool,
}
