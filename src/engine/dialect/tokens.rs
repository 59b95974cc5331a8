//! Tokens before parsing: PostgreSQL's spellings that the parser does not know, in those it does. Every token keeps its place.

use super::ast::{binary, negate};
use crate::EngineError;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace, Word};

/// Stands before the bounds of BETWEEN SYMMETRIC; the pre-pass takes it away.
pub(super) const SYMMETRIC: &str = "__symmetric";

/// `is distinct from` as an operator: the parser takes everything up to the end for its right side, `and` and `or` too.
const DISTINCT: &str = "<is distinct from>";
const NOT_DISTINCT: &str = "<is not distinct from>";

/// Words that PostgreSQL takes as a column's name without AS, and the parser does not.
const LABELS: [Keyword; 11] = [
    Keyword::ANALYZE,
    Keyword::CLUSTER,
    Keyword::DISTRIBUTE,
    Keyword::EXCLUDE,
    Keyword::EXPLAIN,
    Keyword::LATERAL,
    Keyword::MINUS,
    Keyword::SELECT,
    Keyword::SORT,
    Keyword::TOP,
    Keyword::VIEW,
];

/// Rewrites the tokens of one statement.
///
/// # Errors
/// Two strings in a row on one line, or a number with underscores.
pub(super) fn prepare(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, EngineError> {
    let tokens = literals(tokens)?;
    let mut out = Vec::with_capacity(tokens.len() + 4);
    let mut frames = vec![Frame::default()];
    // Tokens of SUBSTRING(x SIMILAR p ESCAPE e) that become commas.
    let mut commas: Vec<usize> = Vec::new();
    let mut skip = 0;
    for (at, token) in tokens.iter().enumerate() {
        if at < skip {
            continue;
        }
        let previous = at.checked_sub(1).map(|at| &tokens[at].token);
        let next = tokens.get(at + 1).map(|token| &token.token);
        let place = |token: Token| TokenWithSpan { token, span: tokens[at].span };
        let depth = frames.len();
        let Some(frame) = frames.last_mut() else { break };
        match &token.token {
            Token::LParen => frames.push(Frame::default()),
            Token::RParen if depth > 1 => {
                frames.pop();
            }
            // `t.* is null`: the row, which its relation's name alone means as well.
            Token::Period if next == Some(&Token::Mul) && is_word(tokens.get(at + 2).map(|token| &token.token), &[Keyword::IS]) => {
                skip = at + 2;
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                _ if commas.contains(&at) => {
                    out.push(place(Token::Comma));
                    continue;
                }
                Keyword::IS if distinction(&tokens[at + 1..]).is_some() => {
                    let (operator, words) = distinction(&tokens[at + 1..]).unwrap_or((DISTINCT, 0));
                    out.push(place(Token::CustomBinaryOperator(operator.into())));
                    skip = at + 1 + words;
                    continue;
                }
                Keyword::CASE => frame.cases += 1,
                Keyword::END if frame.cases > 0 => frame.cases -= 1,
                keyword if (keyword == Keyword::END || LABELS.contains(&keyword)) && frame.list && ends(previous) && follows(next) => {
                    out.push(place(Token::make_keyword("AS")));
                }
                Keyword::SELECT => frame.list = true,
                Keyword::FROM if is_word(previous, &[Keyword::LEADING, Keyword::TRAILING, Keyword::BOTH]) => {
                    out.push(place(Token::SingleQuotedString(" ".into())));
                }
                Keyword::FROM => frame.list = false,
                Keyword::TABLE if begins(previous) && matches!(next, Some(Token::Word(_))) => {
                    out.extend([place(Token::make_keyword("SELECT")), place(Token::Mul), place(Token::make_keyword("FROM"))]);
                    continue;
                }
                _ if word.value.eq_ignore_ascii_case("symmetric") && is_word(previous, &[Keyword::BETWEEN]) => {
                    out.extend([place(Token::make_word(SYMMETRIC, None)), place(Token::make_keyword("AND"))]);
                    continue;
                }
                _ if word.value.eq_ignore_ascii_case("asymmetric") && is_word(previous, &[Keyword::BETWEEN]) => continue,
                Keyword::SUBSTRING if next == Some(&Token::LParen) => {
                    let found = similar(&tokens, at + 1);
                    if !found.is_empty() {
                        commas.extend(found);
                        out.push(place(Token::make_word("substring_similar", None)));
                        continue;
                    }
                }
                _ => {}
            },
            _ => {}
        }
        out.push(token.clone());
    }
    Ok(out)
}

/// The operator behind IS, and how many words follow it.
fn distinction(tokens: &[TokenWithSpan]) -> Option<(&'static str, usize)> {
    let is = |at: usize, keyword: Keyword| is_word(tokens.get(at).map(|token| &token.token), &[keyword]);
    if is(0, Keyword::DISTINCT) && is(1, Keyword::FROM) {
        return Some((DISTINCT, 2));
    }
    (is(0, Keyword::NOT) && is(1, Keyword::DISTINCT) && is(2, Keyword::FROM)).then_some((NOT_DISTINCT, 3))
}

/// What is open between two parentheses.
#[derive(Debug, Default)]
struct Frame {
    /// Between SELECT and FROM.
    list: bool,
    /// CASE without END.
    cases: usize,
}

/// Without white space; strings that a line break alone separates are one.
fn literals(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, EngineError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut newline = false;
    let mut adjacent = false;
    for token in tokens {
        match token.token {
            Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. }) => {
                newline = true;
                continue;
            }
            Token::Whitespace(_) => continue,
            Token::SingleQuotedString(ref more) if adjacent => {
                if !newline {
                    return Err(syntax(format!("'{}'", more.replace('\'', "''")), token.span));
                }
                if let Some(TokenWithSpan { token: Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text), .. }) =
                    out.last_mut()
                {
                    text.push_str(more);
                }
                newline = false;
                continue;
            }
            Token::Number(ref digits, _) if digits.contains('_') => {
                return Err(EngineError::Sql {
                    message: format!("trailing junk after numeric literal at or near \"{digits}\""),
                    hint: None,
                    at: location(token.span),
                });
            }
            _ => {}
        }
        adjacent = matches!(token.token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_));
        newline = false;
        out.push(token);
    }
    Ok(out)
}

fn location(span: Span) -> Option<(usize, usize)> {
    (span.start.line > 0).then_some((span.start.line as usize, span.start.column as usize))
}

fn syntax(found: String, span: Span) -> EngineError {
    EngineError::Sql { message: format!("syntax error at or near \"{found}\""), hint: None, at: location(span) }
}

fn is_word(token: Option<&Token>, keywords: &[Keyword]) -> bool {
    matches!(token, Some(Token::Word(Word { keyword, quote_style: None, .. })) if keywords.contains(keyword))
}

/// True where a query may begin.
fn begins(previous: Option<&Token>) -> bool {
    const BEFORE: [Keyword; 8] = [
        Keyword::UNION,
        Keyword::EXCEPT,
        Keyword::INTERSECT,
        Keyword::ALL,
        Keyword::DISTINCT,
        Keyword::EXPLAIN,
        Keyword::ANALYZE,
        Keyword::VERBOSE,
    ];
    matches!(previous, None | Some(Token::LParen | Token::RParen)) || is_word(previous, &BEFORE)
}

/// True for a token that may be the last of an expression.
fn ends(previous: Option<&Token>) -> bool {
    const INSIDE: [Keyword; 26] = [
        Keyword::ALL,
        Keyword::AND,
        Keyword::ANY,
        Keyword::AS,
        Keyword::BETWEEN,
        Keyword::BY,
        Keyword::CASE,
        Keyword::COLLATE,
        Keyword::DISTINCT,
        Keyword::ELSE,
        Keyword::ESCAPE,
        Keyword::FROM,
        Keyword::ILIKE,
        Keyword::IN,
        Keyword::IS,
        Keyword::LIKE,
        Keyword::NOT,
        Keyword::ON,
        Keyword::OR,
        Keyword::SELECT,
        Keyword::SIMILAR,
        Keyword::SOME,
        Keyword::THEN,
        Keyword::TO,
        Keyword::WHEN,
        Keyword::WHERE,
    ];
    match previous {
        Some(Token::Word(word)) => word.quote_style.is_some() || !INSIDE.contains(&word.keyword),
        Some(
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_)
            | Token::RParen
            | Token::RBracket,
        ) => true,
        _ => false,
    }
}

/// True for what may come after an item of a select list.
fn follows(next: Option<&Token>) -> bool {
    const AFTER: [Keyword; 14] = [
        Keyword::FROM,
        Keyword::WHERE,
        Keyword::GROUP,
        Keyword::HAVING,
        Keyword::WINDOW,
        Keyword::UNION,
        Keyword::EXCEPT,
        Keyword::INTERSECT,
        Keyword::ORDER,
        Keyword::LIMIT,
        Keyword::OFFSET,
        Keyword::FETCH,
        Keyword::FOR,
        Keyword::INTO,
    ];
    matches!(next, None | Some(Token::EOF | Token::Comma | Token::RParen | Token::SemiColon)) || is_word(next, &AFTER)
}

/// SIMILAR and ESCAPE of SUBSTRING, directly inside the parenthesis that opens at `open`.
fn similar(tokens: &[TokenWithSpan], open: usize) -> Vec<usize> {
    let mut depth = 0;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => break,
            Token::RParen => depth -= 1,
            Token::Word(word)
                if depth == 1 && word.keyword == Keyword::SIMILAR && !is_word(tokens.get(at + 1).map(|t| &t.token), &[Keyword::TO]) =>
            {
                found.push(at);
            }
            Token::Word(word) if depth == 1 && word.keyword == Keyword::ESCAPE && !found.is_empty() => found.push(at),
            _ => {}
        }
    }
    found
}

/// True for the mark before the bounds.
pub(super) fn is_symmetric(low: &Expr) -> bool {
    matches!(low, Expr::Identifier(ident) if ident.value == SYMMETRIC)
}

/// `x between symmetric a and b`, whose tokens have become `x between <mark> and a and b`.
pub(super) fn symmetric(left: &Expr, other: &Expr) -> Option<Expr> {
    match left {
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => symmetric(expr, other).map(|found| negate(found, true)),
        // AND is read from left to right: `p and x between <mark> and a`, and then `and b`.
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            symmetric(right, other).map(|found| binary(left.as_ref().clone(), BinaryOperator::And, found))
        }
        Expr::Between { expr, negated, low, high } if is_symmetric(low) => {
            let within = |low: &Expr, high: &Expr| {
                let least = binary(expr.as_ref().clone(), BinaryOperator::GtEq, low.clone());
                Expr::Nested(Box::new(binary(
                    least,
                    BinaryOperator::And,
                    binary(expr.as_ref().clone(), BinaryOperator::LtEq, high.clone()),
                )))
            };
            let either = binary(within(high, other), BinaryOperator::Or, within(other, high));
            Some(negate(Expr::Nested(Box::new(either)), *negated))
        }
        _ => None,
    }
}

/// What an operator of ours stands for: `is distinct from` (true) or `is not distinct from`.
pub(super) fn distinct(operator: &str) -> Option<bool> {
    match operator {
        DISTINCT => Some(true),
        NOT_DISTINCT => Some(false),
        _ => None,
    }
}
