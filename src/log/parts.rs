//! Cuts bytes into parts that are written at once, so that a slow reader shows progress.

/// The maximum number of bytes of a part.
const PART_BYTES: usize = 64 << 10;

/// The length of the next part, which ends after a line if a line ends in it.
pub(super) fn part_length(bytes: &[u8]) -> usize {
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
}
