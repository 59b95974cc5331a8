//! PostgreSQL's grammar for the parser: the parser's own, but for what makes it slow.
//!
//! The parser takes an expression for the name of an argument (`f(a || 'b': 1)`) and so reads each argument twice, nested calls 2ⁿ times.
//! In PostgreSQL a name is an identifier. And where `array[…` or `cast(…` has an error somewhere inside, it reads them once more as names,
//! which in PostgreSQL they are not.

use super::tokens::distinct;
use datafusion::sql::sqlparser::ast::{CastKind, Expr, Function, FunctionArguments, Ident, ObjectName};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::TypeId;

const OWN: PostgreSqlDialect = PostgreSqlDialect {};

/// The dialect.
#[derive(Debug)]
pub(super) struct PostgreSql;

/// What is as the parser's own dialect has it.
macro_rules! as_there {
    ($($name:ident),+ $(,)?) => {
        $(fn $name(&self) -> bool {
            OWN.$name()
        })+
    };
}

/// `array(select …)`, of which the word is read.
fn array_of_query(parser: &mut Parser<'_>, name: Ident) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::Subquery(query),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

/// `((select …), …)`: the parser would take the first parenthesis for that of a query.
fn lists_queries(parser: &Parser<'_>, at: usize) -> bool {
    if parser.peek_nth_token_ref(at).token != Token::LParen || parser.peek_nth_token_ref(at + 1).token != Token::LParen {
        return false;
    }
    let (mut depth, mut end) = (0usize, at + 1);
    loop {
        match &parser.peek_nth_token_ref(end).token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::EOF => return false,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        end += 1;
    }
    match &parser.peek_nth_token_ref(end + 1).token {
        Token::RParen | Token::EOF => false,
        Token::Word(word) => !matches!(
            word.keyword,
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET | Keyword::FETCH
        ),
        _ => true,
    }
}

/// `in (…`, of which the parenthesis is read.
fn in_list(parser: &mut Parser<'_>, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList { expr: Box::new(expr.clone()), list, negated })
}

/// What reads an expression of which the first word is read.
type Reader = fn(&mut Parser<'_>, Ident) -> Result<Expr, ParserError>;

impl Dialect for PostgreSql {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        let (name, keyword) = (word.clone(), word.keyword);
        if name.quote_style.is_some() {
            return None;
        }
        let (opens, lists) = match parser.peek_nth_token_ref(1).token {
            Token::LParen => (true, false),
            Token::LBracket => (false, true),
            _ => return None,
        };
        let begins = parser.peek_token_ref().span;
        let special: Reader = match keyword {
            Keyword::ARRAY if lists => |parser: &mut Parser<'_>, _| {
                parser.expect_token(&Token::LBracket)?;
                parser.parse_array_expr(true)
            },
            Keyword::EXISTS if opens => |parser: &mut Parser<'_>, _| parser.parse_exists_expr(false),
            Keyword::CAST if opens => |parser: &mut Parser<'_>, _| parser.parse_cast_expr(CastKind::Cast),
            Keyword::EXTRACT if opens => |parser: &mut Parser<'_>, _| parser.parse_extract_expr(),
            Keyword::TRIM if opens => |parser: &mut Parser<'_>, _| parser.parse_trim_expr(),
            Keyword::CEIL if opens => |parser: &mut Parser<'_>, _| parser.parse_ceil_floor_expr(true),
            Keyword::FLOOR if opens => |parser: &mut Parser<'_>, _| parser.parse_ceil_floor_expr(false),
            Keyword::POSITION if opens => |parser: &mut Parser<'_>, name| parser.parse_position_expr(name),
            Keyword::SUBSTR | Keyword::SUBSTRING if opens => |parser: &mut Parser<'_>, _| {
                parser.prev_token();
                parser.parse_substring()
            },
            Keyword::ARRAY if opens => array_of_query,
            Keyword::OVERLAY if opens => |parser: &mut Parser<'_>, _| parser.parse_overlay_expr(),
            // Functions like any other.
            Keyword::CONVERT | Keyword::TRY_CAST | Keyword::SAFE_CAST if opens => {
                |parser: &mut Parser<'_>, name| parser.parse_function(ObjectName::from(vec![name]))
            }
            _ => return None,
        };
        parser.advance_token();
        Some(special(parser, name.to_ident(begins)))
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let word = |parser: &Parser<'_>, at: usize, keyword: Keyword| matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if word.keyword == keyword);
        let negated = word(parser, 0, Keyword::NOT);
        let at = usize::from(negated);
        if !word(parser, at, Keyword::IN) || !lists_queries(parser, at + 1) {
            return None;
        }
        (0..at + 2).for_each(|_| parser.advance_token());
        Some(in_list(parser, expr, negated))
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        OWN.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        OWN.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        OWN.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        OWN.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        // As names they would open a second way to read what is unfinished, at every level.
        matches!(kw, Keyword::CASE | Keyword::NOT) || OWN.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        OWN.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::CustomBinaryOperator(operator) if distinct(operator).is_some() => Some(Ok(OWN.prec_value(Precedence::Is))),
            _ => OWN.get_next_precedence(parser),
        }
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        OWN.prec_value(prec)
    }

    as_there! {
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_comment_optimizer_hint,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::statement;

    #[test]
    fn nested_calls_are_parsed_once() {
        // Twice at each level would be a thousand years.
        let sql = format!("select {}'A'{}", "lower(".repeat(60), ")".repeat(60));
        super::super::depth::deep(|| statement(&sql)).unwrap();
        for sql in ["select make_interval(days => 3)", "select f(a := 1)"] {
            statement(sql).unwrap();
        }
    }

    #[test]
    fn errors_inside_are_found_once() {
        for (open, close) in [
            ("array[", "]"),
            ("array(select ", ")"),
            ("exists(select ", ")"),
            ("cast(", " as int)"),
            ("extract(day from ", ")"),
            ("trim(", ")"),
            ("substring(", ")"),
            ("case when true then ", " end"),
            ("not ", ""),
            ("overlay(", " placing 'a' from 1)"),
            ("convert(", ", 'a', 'b')"),
        ] {
            let sql = format!("select {}1 2 from from{}", open.repeat(40), close.repeat(40));
            super::super::depth::deep(|| statement(&sql).map(drop).unwrap_err());
        }
    }
}
