//! Writes bytes in parts, so that a slow reader shows progress.

use std::{
    io::{ErrorKind, Write},
    ops::Range,
};

/// The maximum number of bytes of a part.
const PART_BYTES: usize = 64 << 10;

/// Writes all bytes. Calls `report` after each part, with the bytes of the part that the output did not accept. The log
/// cannot report an error of the output, because the log itself has failed.
pub(super) fn write_in_parts(output: &mut impl Write, bytes: &[u8], mut report: impl FnMut(Range<usize>)) {
    let mut start = 0;
    while start < bytes.len() {
        let end = start + part_length(&bytes[start..]);
        report(start + write(output, &bytes[start..end])..end);
        start = end;
    }
}

/// Returns how many bytes the output has accepted.
fn write(output: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

/// The length of the next part, which ends after a line if a line ends in it.
fn part_length(bytes: &[u8]) -> usize {
    match bytes.get(..PART_BYTES) {
        None => bytes.len(),
        Some(part) => part.iter().rposition(|byte| *byte == b'\n').map_or(PART_BYTES, |end| end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_after_a_line_if_it_can() {
        let (line, long) = ([&[b'x'; 999][..], b"\n"].concat(), vec![b'x'; PART_BYTES + 1]);
        assert_eq!(part_length(&line), 1000);
        assert_eq!(part_length(&line.repeat(100)), 65_000);
        assert_eq!(part_length(&long), PART_BYTES);
        assert_eq!(part_length(&[&line[..], &long].concat()), 1000);
    }

    #[test]
    fn the_bytes_that_an_output_does_not_take_are_reported() {
        let bytes = [&[b'x'; PART_BYTES - 1][..], b"\n"].concat().repeat(2);
        for (room, expected) in [(2 * PART_BYTES, 0), (2 * PART_BYTES - 1, 1), (1, 2 * PART_BYTES - 1)] {
            let (mut disk, mut missing) = (vec![0; room], 0);
            write_in_parts(&mut &mut disk[..], &bytes, |part| missing += part.len());
            assert_eq!((missing, &disk[..]), (expected, &bytes[..room]), "room for {room} bytes");
        }
    }
}
