//! A reader that knows on which line it is and refuses rows out of all proportion.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// The longest row, in bytes.
pub(super) const MAX_ROW_BYTES: usize = 16 << 20;

/// Counts lines, and bytes since the last row began.
pub(super) struct Metered {
    inner: BufReader<File>,
    meter: Rc<Meter>,
}

/// What a [`Metered`] reader has counted.
#[derive(Default)]
pub(super) struct Meter {
    newlines: Cell<usize>,
    row_bytes: Cell<usize>,
    row_line: Cell<usize>,
}

impl Meter {
    /// The line that is being read, from 1.
    pub(super) fn line(&self) -> usize {
        self.newlines.get() + 1
    }

    /// Remembers the present line as that of a row.
    pub(super) fn mark_row(&self) -> usize {
        self.row_line.set(self.line());
        self.line()
    }

    /// The line of the last row that was marked; 0 when none was.
    pub(super) fn row_line(&self) -> usize {
        self.row_line.get()
    }

    /// A new row begins.
    pub(super) fn begin_row(&self) {
        self.row_bytes.set(0);
    }

    fn count(&self, bytes: &[u8]) -> io::Result<()> {
        self.newlines.set(self.newlines.get() + bytes.iter().filter(|byte| **byte == b'\n').count());
        self.row_bytes.set(self.row_bytes.get() + bytes.len());
        if self.row_bytes.get() > MAX_ROW_BYTES {
            return Err(io::Error::other(format!("a row of more than {} MiB", MAX_ROW_BYTES >> 20)));
        }
        Ok(())
    }
}

impl Metered {
    /// A reader of `file` from behind its byte order mark.
    pub(super) fn new(file: File) -> io::Result<(Self, Rc<Meter>)> {
        let mut inner = BufReader::with_capacity(64 << 10, file);
        if inner.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
            inner.consume('\u{feff}'.len_utf8());
        }
        let meter = Rc::new(Meter::default());
        Ok((Self { inner, meter: Rc::clone(&meter) }, meter))
    }

    /// The next line without its end into `line`; `false` at the end of the file.
    pub(super) fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        self.meter.begin_row();
        loop {
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                return Ok(!line.is_empty());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = &buffer[..end.map_or(buffer.len(), |end| end + 1)];
            line.extend_from_slice(taken);
            let (length, counted) = (taken.len(), self.meter.count(taken));
            self.inner.consume(length);
            counted?;
            if end.is_some() {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(true);
            }
        }
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.meter.count(&buffer[..length])?;
        Ok(length)
    }
}
