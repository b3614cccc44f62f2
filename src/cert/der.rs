//! Writing DER without buffers, and the little reading of it that carried extensions need.

use crate::bytes::{Overflow, Sink};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0C;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Returns the tag of the constructed, context-specific element `number` (below 31).
pub(super) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// Writes DER into a [`Sink`], or only measures it.
///
/// A length stands before its content, so [`nested`](Self::nested) runs the content twice: once
/// to measure, once to write. Measuring itself runs everything once, however deep it nests.
pub(super) struct Der<'s> {
    sink: Option<&'s mut dyn Sink>,
    len: usize,
}

/// What writes the content of an element.
type Content<'c> = &'c dyn Fn(&mut Der<'_>) -> Result<(), Overflow>;

impl<'s> Der<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self { sink: Some(sink), len: 0 }
    }

    /// Returns the bytes that `content` makes.
    pub(super) fn measure(content: Content<'_>) -> Result<usize, Overflow> {
        let mut der = Der { sink: None, len: 0 };
        content(&mut der)?;
        Ok(der.len)
    }

    /// Writes an element whose content `content` writes.
    pub(super) fn nested(
        &mut self,
        tag: u8,
        content: impl Fn(&mut Der<'_>) -> Result<(), Overflow>,
    ) -> Result<(), Overflow> {
        self.nest(tag, &content)
    }

    /// One function for every content: there are two dozen.
    #[inline(never)]
    fn nest(&mut self, tag: u8, content: Content<'_>) -> Result<(), Overflow> {
        if self.sink.is_none() {
            let before = self.len;
            content(self)?;
            return self.header(tag, self.len.saturating_sub(before));
        }
        self.header(tag, Self::measure(content)?)?;
        content(self)
    }

    /// Writes an element with this content.
    pub(super) fn element(&mut self, tag: u8, content: &[u8]) -> Result<(), Overflow> {
        self.header(tag, content.len())?;
        self.raw(content)
    }

    pub(super) fn oid(&mut self, arcs: &[u8]) -> Result<(), Overflow> {
        self.element(OBJECT_IDENTIFIER, arcs)
    }

    pub(super) fn bool_true(&mut self) -> Result<(), Overflow> {
        self.element(BOOLEAN, &[0xFF])
    }

    /// Writes a non-negative integer from its big-endian bytes, in the fewest bytes.
    pub(super) fn unsigned(&mut self, value: &[u8]) -> Result<(), Overflow> {
        let zeros = value.iter().take_while(|&&octet| octet == 0).count();
        let digits = value.get(zeros..).unwrap_or_default();
        let sign: &[u8] = match digits.first() {
            Some(0..=0x7F) => &[],
            Some(_) | None => &[0],
        };
        self.header(INTEGER, sign.len().saturating_add(digits.len()))?;
        self.raw(sign)?;
        self.raw(digits)
    }

    /// Bytes that are DER already, or part of an element whose header was written.
    #[inline(never)]
    pub(super) fn raw(&mut self, octets: &[u8]) -> Result<(), Overflow> {
        self.len = self.len.saturating_add(octets.len());
        self.sink.as_mut().map_or(Ok(()), |sink| sink.put(octets))
    }

    fn header(&mut self, tag: u8, len: usize) -> Result<(), Overflow> {
        match u16::try_from(len).map_err(|_| Overflow)?.to_be_bytes() {
            [0, low @ 0..=0x7F] => self.raw(&[tag, low]),
            [0, low] => self.raw(&[tag, 0x81, low]),
            [high, low] => self.raw(&[tag, 0x82, high, low]),
        }
    }
}

/// Splits the first element off `der`: its tag, its content, and what follows it.
///
/// `None` if the element is cut off or its length is not in DER form.
pub(super) fn split_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81 => {
            let (&len, rest) = rest.split_first()?;
            (usize::from(len), rest)
        }
        0x82 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        _ => return None,
    };
    let minimal = match first {
        0x81 => len > 0x7F,
        0x82 => len > 0xFF,
        _ => true,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    minimal.then_some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Buffer;

    fn written(
        out: &mut [u8; 1024],
        content: impl Fn(&mut Der<'_>) -> Result<(), Overflow>,
    ) -> &[u8] {
        let mut buffer = Buffer::new(out);
        content(&mut Der::new(&mut buffer)).unwrap();
        assert_eq!(Der::measure(&content), Ok(buffer.len()));
        buffer.into_written()
    }

    #[test]
    fn integers_are_minimal() {
        let mut out = [0; 1024];
        assert_eq!(written(&mut out, |der| der.unsigned(&[0, 0, 1])), [2, 1, 1]);
        assert_eq!(written(&mut out, |der| der.unsigned(&[0, 0x80])), [2, 2, 0, 0x80]);
        assert_eq!(written(&mut out, |der| der.unsigned(&[0, 0])), [2, 1, 0]);
    }

    #[test]
    fn lengths_take_one_two_or_three_octets() {
        for len in [0, 1, 127, 128, 255, 256, 700] {
            let content = &[7; 700][..len];
            let mut out = [0; 1024];
            let der = written(&mut out, |der| {
                der.nested(SEQUENCE, |der| der.nested(SET, |der| der.element(4, content)))
            });
            let (tag, set, rest) = split_element(der).unwrap();
            assert_eq!((tag, rest), (SEQUENCE, &[][..]));
            let (tag, inner, _) = split_element(set).unwrap();
            assert_eq!(tag, SET);
            assert_eq!(split_element(inner), Some((4, content, &[][..])));
        }
    }

    #[test]
    fn long_forms_of_short_lengths_are_refused() {
        assert_eq!(split_element(&[4, 0x81, 1, 9]), None);
        assert_eq!(split_element(&[4, 0x82, 0, 1, 9]), None);
        for (len, form) in [(0x7F, &[0x81, 0x7F][..]), (0xFF, &[0x82, 0, 0xFF])] {
            let mut element = [0; 300];
            let content = 1 + form.len();
            element[0] = 4;
            element[1..content].copy_from_slice(form);
            assert_eq!(split_element(&element[..content + len]), None);
            // One more needs that form.
            element[content - 1] = element[content - 1].wrapping_add(1);
            if element[content - 1] == 0 {
                element[content - 2] += 1;
            }
            let (_, read, rest) = split_element(&element[..content + len + 1]).unwrap();
            assert_eq!((read.len(), rest.len()), (len + 1, 0));
        }
        assert_eq!(split_element(&[4, 0x80, 9]), None);
        assert_eq!(split_element(&[4, 2, 9]), None);
    }
}
