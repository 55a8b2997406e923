//! Decodes the wire format of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>), without the crates
//! that encode the spans.

/// A message: the number and the value of each field.
#[derive(Debug)]
pub(super) struct Message(Vec<(u64, Field)>);

#[derive(Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Message {
    pub(super) fn decode(mut rest: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let key = variable(&mut rest);
            let field = match key & 7 {
                0 => Field::Number(variable(&mut rest)),
                1 => Field::Number(u64::from_le_bytes(take(&mut rest, 8).try_into().unwrap())),
                2 => {
                    let length = variable(&mut rest);
                    Field::Bytes(take(&mut rest, usize::try_from(length).unwrap()).to_vec())
                }
                5 => Field::Number(u32::from_le_bytes(take(&mut rest, 4).try_into().unwrap()).into()),
                kind => panic!("unknown wire type {kind}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    fn all(&self, number: u64) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |(key, _)| *key == number).map(|(_, field)| field)
    }

    pub(super) fn messages(&self, number: u64) -> impl Iterator<Item = Self> {
        self.all(number).map(move |field| match field {
            Field::Bytes(bytes) => Self::decode(bytes),
            Field::Number(_) => panic!("field {number} is no message"),
        })
    }

    /// The only message of this field, or an empty one.
    pub(super) fn message(&self, number: u64) -> Self {
        self.messages(number).next().unwrap_or(Self(Vec::new()))
    }

    pub(super) fn number(&self, number: u64) -> u64 {
        match self.all(number).next() {
            Some(Field::Number(value)) => *value,
            _ => 0,
        }
    }

    pub(super) fn bytes(&self, number: u64) -> &[u8] {
        match self.all(number).next() {
            Some(Field::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    pub(super) fn text(&self, number: u64) -> String {
        String::from_utf8(self.bytes(number).to_vec()).unwrap()
    }

    pub(super) fn hexadecimal(&self, number: u64) -> String {
        self.bytes(number).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn variable(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number is too long")
}
