//! The numbers of a text of JSON as they are written: reading them as values keeps no more than 64 bits of each.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use super::super::exact::inexact;
use super::fault::{Fault, Spot};

/// Goes through a text of JSON byte by byte, and finds the first number that reading would change.
#[derive(Debug)]
pub(super) struct Numbers {
    /// From 1.
    line: usize,
    /// Bytes of the line so far.
    column: usize,
    within: Within,
    /// The number that is being read.
    number: String,
    changed: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Between values, or inside of a word.
    Nothing,
    Number,
    Text,
    /// Behind a backslash.
    Escape,
}

impl Numbers {
    /// Before a text that begins on `line`.
    pub(super) fn from(line: usize) -> Self {
        Self { line, column: 0, within: Within::Nothing, number: String::new(), changed: None }
    }

    /// The next bytes of the text.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.next(*byte);
            self.column += 1;
            if *byte == b'\n' {
                (self.line, self.column) = (self.line + 1, 0);
            }
        }
    }

    /// What is wrong with the first number since this was asked last that would not be read as it is written.
    pub(super) fn changed(&mut self) -> Option<Fault> {
        self.end_number();
        self.changed.take()
    }

    fn next(&mut self, byte: u8) {
        self.within = match (self.within, byte) {
            (Within::Text, b'\\') => Within::Escape,
            (Within::Text, b'"') => Within::Nothing,
            (Within::Text | Within::Escape, _) => Within::Text,
            (Within::Number, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')
            | (Within::Nothing, b'0'..=b'9' | b'-') => {
                self.number.push(char::from(byte));
                Within::Number
            }
            (_, b'"') => {
                self.end_number();
                Within::Text
            }
            _ => {
                self.end_number();
                Within::Nothing
            }
        };
    }

    fn end_number(&mut self) {
        if self.number.is_empty() {
            return;
        }
        if self.changed.is_none()
            && let Some(inexact) = inexact(&self.number)
        {
            let bytes = self.column.saturating_sub(self.number.len())..self.column;
            self.changed = Some(Fault::new(self.line, Spot::Bytes(bytes), inexact.message, inexact.hint));
        }
        self.number.clear();
    }
}

/// A reader whose numbers are looked at on their way.
pub(super) struct Watched<R> {
    pub(super) inner: R,
    pub(super) numbers: Rc<RefCell<Numbers>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.numbers.borrow_mut().feed(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_would_change_is_found() {
        let check = |text: &str, expected: Option<(usize, &str)>| {
            let mut numbers = Numbers::from(1);
            numbers.feed(text.as_bytes());
            let found = numbers.changed().map(Fault::into_words);
            let found = found.as_ref().map(|(line, words)| (*line, words.split(' ').next().unwrap()));
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"a": 1, "b": [true, null, -1.5e3], "e1": "x"}"#, None);
        check(r#"{"12345678901234567890123": "12345678901234567890123"}"#, None);
        check(r#"{"a": "\"12345678901234567890123", "b": "\\", "c": 1}"#, None);
        check(
            r#"{"a": "\\", "b": 12345678901234567890123, "c": 1e-999}"#,
            Some((1, "12345678901234567890123")),
        );
        check("[\n{\"a\":\n[1,\n-12345678901234567890]}]", Some((4, "-12345678901234567890")));
        check("123456789012345678901", Some((1, "123456789012345678901")));
    }
}
