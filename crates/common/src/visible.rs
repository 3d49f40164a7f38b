//! Text from suites, models and errors, made safe to show: what would move the cursor, hide, or reorder what a
//! terminal prints is written out. Everything that prints for people passes through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its control and format characters as `\u{202e}`. Line feeds stay; tabs become a space.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |escaped, character| match character {
        '\t' => escaped.push(' '),
        // Writing to a String cannot fail.
        hidden => _ = write!(escaped, "{}", hidden.escape_unicode()),
    })
}

/// A JSON document with the same characters as JSON's own escapes: it reads as the same values.
pub fn visible_json(document: &str) -> Cow<'_, str> {
    escaped(document, |escaped, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, mut write: impl FnMut(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) { write(&mut escaped, character) } else { escaped.push(character) }
    }
    Cow::Owned(escaped)
}

/// `text` on one line: as [`visible`], and its line feeds are written out as well.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        shown if shown.contains('\n') => Cow::Owned(shown.replace('\n', "\\u{a}")),
        shown => shown,
    }
}

/// Whether `text` can be a name: it stands on one line wherever it is shown, with no control character and no separator of lines or
/// paragraphs.
pub fn is_one_line(text: &str) -> bool {
    !text.contains(|character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
}

/// Control characters but the line feed, what Unicode calls noncharacters (XML has no place for some of them), and what Unicode calls format characters (Cf) and separators of lines and
/// paragraphs: they show nothing themselves and change how their neighbours are shown.
fn is_hidden(character: char) -> bool {
    match character {
        '\n' => false,
        '\u{ad}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}' => true,
        other => other.is_control() || u32::from(other) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_written_out() {
        let check = |text: &str, expected: &str| assert_eq!(visible(text), expected, "{text:?}");
        check("plain ünïcode 漢字 👍", "plain ünïcode 漢字 👍");
        check("two\nlines\tand a tab", "two\nlines and a tab");
        check("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}");
        check("\u{202e}desrever\u{2069}", "\\u{202e}desrever\\u{2069}");
        check("zero\u{200b}width\r", "zero\\u{200b}width\\u{d}");
        check("tag\u{e0041}", "tag\\u{e0041}");
        check("\u{fffe}\u{ffff}\u{fdd0}\u{1ffff}\u{fffd}", "\\u{fffe}\\u{ffff}\\u{fdd0}\\u{1ffff}\u{fffd}");
        assert_eq!(visible_line("a\nb\r"), "a\\u{a}b\\u{d}");
        assert_eq!(visible_line("a b"), "a b");
        for (name, fits) in
            [("a b", true), ("ü\u{200d}", true), ("a\nb", false), ("\u{1b}", false), ("a\u{2028}b", false)]
        {
            assert_eq!(is_one_line(name), fits, "{name:?}");
        }
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({"output": "a\u{202e}b\u{e0041}\u{9b}c\n"});
        let document = serde_json::to_string(&value).unwrap();
        let safe = visible_json(&document);
        assert_eq!(safe, "{\"output\":\"a\\u202eb\\udb40\\udc41\\u009bc\\n\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
