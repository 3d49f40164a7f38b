//! Answers to questions of arithmetic: the value of the expression a text holds.

/// The value of the longest expression of whole numbers, `+ - * /` and parentheses in `text`; division cuts off.
/// `None` when there is none, or it has no value.
pub(crate) fn answer(text: &str) -> Option<i64> {
    text.split(|c: char| !(c.is_ascii_digit() || " +-*/()".contains(c)))
        .map(str::trim)
        .filter(|part| part.contains(|c: char| c.is_ascii_digit()))
        .max_by_key(|part| part.len())
        .and_then(value)
}

fn value(expression: &str) -> Option<i64> {
    let mut rest = Rest(expression.as_bytes());
    let value = rest.sum(0)?;
    rest.peek().is_none().then_some(value)
}

/// Parentheses and signs nest this deep at most.
const MAX_DEPTH: u32 = 64;

struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn peek(&mut self) -> Option<u8> {
        self.0 = self.0.trim_ascii_start();
        self.0.first().copied()
    }

    fn take(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }

    fn sum(&mut self, depth: u32) -> Option<i64> {
        let mut total = self.product(depth)?;
        while let Some(sign @ (b'+' | b'-')) = self.peek() {
            self.take();
            let term = self.product(depth)?;
            total = if sign == b'+' { total.checked_add(term)? } else { total.checked_sub(term)? };
        }
        Some(total)
    }

    fn product(&mut self, depth: u32) -> Option<i64> {
        let mut total = self.factor(depth)?;
        while let Some(sign @ (b'*' | b'/')) = self.peek() {
            self.take();
            let factor = self.factor(depth)?;
            total = if sign == b'*' { total.checked_mul(factor)? } else { total.checked_div(factor)? };
        }
        Some(total)
    }

    fn factor(&mut self, depth: u32) -> Option<i64> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'(' => {
                self.take();
                let inner = self.sum(depth + 1)?;
                (self.peek() == Some(b')')).then(|| self.take())?;
                Some(inner)
            }
            b'-' => {
                self.take();
                self.factor(depth + 1)?.checked_neg()
            }
            _ => {
                let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = str::from_utf8(&self.0[..digits]).ok()?.parse().ok()?;
                self.0 = &self.0[digits..];
                Some(number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_evaluates_the_expression() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(answer(text), expected, "{text}");
        check("What is 3 + 4 * 2?", Some(11));
        check("(3 + 4) * -2", Some(-14));
        check("Question 7: 10 - 2 - 3 =", Some(5));
        check("17 / 5", Some(3));
        check("Is it 42?", Some(42));
        check("no numbers", None);
        check("1 / 0", None);
        check("9223372036854775807 + 1", None);
        check("(1 + 2", None);
        check(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)), None);
    }
}
