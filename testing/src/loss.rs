//! Loses chosen datagrams, to see that the other side and this one get over it.

use core::str::FromStr;

/// Which datagrams are lost, counted from 1: `rx:2,tx:1` loses the second one received and the
/// first one sent.
#[derive(Debug, Default)]
pub struct Loss {
    received: Direction,
    sent: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    lost: Vec<u32>,
    count: u32,
}

impl Direction {
    fn passes(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        !self.lost.contains(&self.count)
    }
}

impl Loss {
    /// Whether the next datagram received is let in.
    pub fn receives(&mut self) -> bool {
        self.received.passes()
    }

    /// Whether the next datagram to be sent is let out.
    pub fn sends(&mut self) -> bool {
        self.sent.passes()
    }
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut loss = Self::default();
        for part in text.split(',') {
            let error = || format!("{part:?} is neither rx:N nor tx:N");
            let (direction, number) = part.split_once(':').ok_or_else(error)?;
            let number = number.parse().map_err(|_| error())?;
            match direction {
                "rx" => loss.received.lost.push(number),
                "tx" => loss.sent.lost.push(number),
                _ => return Err(error()),
            }
        }
        Ok(loss)
    }
}
