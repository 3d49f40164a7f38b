//! What prompts, cases and models say, as Markdown and HTML show it as it stands.

use assay_common::visible::visible;

/// Text in one table cell.
pub(super) fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A mention would notify somebody.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text of several lines in one table cell.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(cell).collect::<Vec<_>>().join("<br>")
}

/// A block of text in a language; no run of backticks in it ends the block.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_says_stays_text() {
        let hostile = "<img src=x onerror=alert(1)> | [x](javascript:1) @team\n# `code`";
        assert_eq!(
            cell(hostile),
            r"&lt;img src=x onerror=alert(1)&gt; \| \[x\](javascript:1) &#64;team \# \`code\`"
        );
        assert_eq!(cell("a\u{202e}b"), r"a\\u{202e}b");
        assert_eq!(lines("a|b\n<c>"), r"a\|b<br>&lt;c&gt;");
    }

    #[test]
    fn a_block_ends_where_it_should() {
        assert_eq!(fenced("diff", "+a\n"), "```diff\n+a\n```\n");
        assert_eq!(fenced("", "```\n@team"), "````\n```\n@team\n````\n");
    }
}
