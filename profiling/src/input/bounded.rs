//! A reader that refuses records and files beyond all measure: what has no end, or no line's end, is not to fill memory.
//!
//! Stands under the CSV reader, which holds a whole record: a line, or several where a quoted field has ends of lines in it. Only
//! the CSV reader can tell where a record ends, so it is told from there.
//!
//! Invariant: of one record at most [`RECORD_BYTES_MAX`] bytes and the piece that is read beyond them come through.
//! Cost: two additions for each piece that is read.

use std::io::{self, Read};

/// Longest record, in bytes: no more is read of it once it has this many.
const RECORD_BYTES_MAX: usize = 64 << 10;

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded<R> {
    from: R,
    /// The line in which the record begins that is being read, from 1, and what was read since.
    record_line: u64,
    record_bytes: usize,
    bytes: u64,
    bytes_max: u64,
}

impl<R> Bounded<R> {
    /// The first record begins in line 1.
    pub(super) fn new(from: R) -> Self {
        Self { from, record_line: 1, record_bytes: 0, bytes: 0, bytes_max: FILE_BYTES_MAX }
    }

    /// A record begins in this line; the one before it has ended.
    pub(super) fn record_begins(&mut self, line: u64) {
        (self.record_line, self.record_bytes) = (line, 0);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self { record_line, record_bytes, bytes_max, .. } = *self;
        // Whoever asks for more has used up what there was: all of it belongs to this record.
        if record_bytes > RECORD_BYTES_MAX {
            return Err(io::Error::other(format!(
                "the record that begins in line {record_line} has {record_bytes} bytes and more, expected at most {RECORD_BYTES_MAX}"
            )));
        }
        let read = self.from.read(into)?;
        self.record_bytes += read;
        self.bytes += read as u64;
        if self.bytes > bytes_max {
            return Err(io::Error::other(format!(
                "at line {record_line} it has more than the {bytes_max} bytes expected at most"
            )));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads records of these many bytes, in pieces that end where the records do; what was read of all.
    fn read(records: &[usize], piece: usize) -> io::Result<usize> {
        let mut bounded = Bounded::new(io::repeat(b'"'));
        let mut piece = vec![0; piece];
        let mut sum = 0;
        for (line, &bytes) in (1..).zip(records) {
            bounded.record_begins(line);
            let mut left = bytes;
            while left > 0 {
                let most = left.min(piece.len());
                let read = bounded.read(&mut piece[..most])?;
                (left, sum) = (left - read, sum + read);
            }
        }
        Ok(sum)
    }

    #[test]
    fn a_record_too_long_is_refused_by_its_first_line_and_short_ones_add_up_to_nothing() {
        for piece in [1000, 8 << 10, RECORD_BYTES_MAX] {
            let good = [RECORD_BYTES_MAX; 5];
            assert_eq!(read(&good, piece).expect("within the limit"), 5 * RECORD_BYTES_MAX);
            let refused = read(&[1, 2, RECORD_BYTES_MAX + piece + 1, 4], piece).expect_err("too long").to_string();
            assert!(refused.starts_with("the record that begins in line 3 has "), "{refused}");
        }
    }

    #[test]
    fn a_file_too_long_is_refused_however_short_its_records() {
        let mut bounded = Bounded { bytes_max: 10_000, ..Bounded::new(io::repeat(b'\n')) };
        let mut piece = [0; 1_000];
        for line in 1..=10 {
            bounded.record_begins(line);
            assert_eq!(bounded.read(&mut piece).expect("within the limit"), 1_000);
        }
        let refused = bounded.read(&mut piece).expect_err("too many").to_string();
        assert!(refused.contains("at line 10 it has more than the 10000 bytes expected at most"), "{refused}");
    }
}
