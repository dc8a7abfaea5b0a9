//! A reader that refuses lines and files beyond all measure: what has no end, or no line's end, is not to fill memory.
//!
//! Stands under the CSV reader, which holds a whole line. Cost: a search for the last end of line in each piece that is read.

use std::io::{self, Read};

/// Longest line, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded<R> {
    from: R,
    /// The line that is being read, from 1, and how much of it has been.
    line: u64,
    line_bytes: usize,
    bytes: u64,
    bytes_max: u64,
}

impl<R> Bounded<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, line: 1, line_bytes: 0, bytes: 0, bytes_max: FILE_BYTES_MAX }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.bytes += read as u64;
        let mut lines = into[..read].split(|byte| *byte == b'\n');
        self.line_bytes += lines.next().map_or(0, <[u8]>::len);
        let mut longest = (self.line_bytes, self.line);
        for line in lines {
            self.line += 1;
            self.line_bytes = line.len();
            longest = longest.max((self.line_bytes, self.line));
        }
        if longest.0 > LINE_BYTES_MAX {
            let (bytes, line) = longest;
            return Err(io::Error::other(format!(
                "line {line} has {bytes} bytes and more, expected at most {LINE_BYTES_MAX}"
            )));
        }
        if self.bytes > self.bytes_max {
            let Self { line, bytes_max, .. } = self;
            return Err(io::Error::other(format!(
                "at line {line} it has more than the {bytes_max} bytes expected at most"
            )));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> io::Result<usize> {
        let mut bounded = Bounded::new(bytes);
        let (mut piece, mut sum) = (vec![0; piece], 0);
        loop {
            match bounded.read(&mut piece)? {
                0 => return Ok(sum),
                read => sum += read,
            }
        }
    }

    #[test]
    fn a_line_too_long_is_refused_by_its_number_however_it_is_read() {
        let mut text = "x".repeat(LINE_BYTES_MAX);
        let short = format!("a\n{text}\nb\n{text}\n");
        text.push('x');
        let long = format!("a\nb\n{text}\nc");
        for piece in [1000, LINE_BYTES_MAX, 1 << 20] {
            assert_eq!(read(short.as_bytes(), piece).expect("within the limit"), short.len());
            let refused = read(long.as_bytes(), piece).expect_err("one byte too many").to_string();
            assert!(refused.starts_with("line 3 has 65537 bytes"), "{refused}");
        }
    }

    #[test]
    fn a_file_too_long_is_refused_however_short_its_lines() {
        let mut bounded = Bounded { bytes_max: 10_000, ..Bounded::new(io::repeat(b'\n')) };
        let mut piece = [0; 1_000];
        for _ in 0..10 {
            assert_eq!(bounded.read(&mut piece).expect("within the limit"), 1_000);
        }
        let refused = bounded.read(&mut piece).expect_err("too many").to_string();
        assert!(refused.contains("more than the 10000 bytes expected at most"), "{refused}");
    }
}
