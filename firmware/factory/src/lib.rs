//! The data that a factory writes into a device, so that the device needs neither its passcode nor
//! PBKDF2.
//!
//! ```text
//! discriminator LE (2) | PBKDF parameters (38) | verifier (97)
//! ```
//! The last two are the stored forms of [`PbkdfParameters`] and [`Verifier`].

use std::fmt::Write as _;
use std::str::FromStr;

use matter_session::crypto::{
    CryptoError, Passcode, PbkdfParameters, RustCrypto, Secret, Verifier,
};

/// Length of [`FactoryData::to_bytes`].
pub const LEN: usize = 2 + PbkdfParameters::ENCODED_LEN + Verifier::LEN;

/// Maximum value of a discriminator: 12 bits.
pub const MAX_DISCRIMINATOR: u16 = 0xFFF;

/// What one device gets.
#[derive(Debug)]
pub struct FactoryData {
    discriminator: u16,
    parameters: PbkdfParameters,
    verifier: Verifier,
}

impl FactoryData {
    /// Computes the verifier of a passcode.
    ///
    /// # Errors
    /// A discriminator above [`MAX_DISCRIMINATOR`].
    pub fn generate(
        passcode: &Passcode,
        discriminator: u16,
        parameters: PbkdfParameters,
    ) -> Result<Self, FactoryError> {
        if discriminator > MAX_DISCRIMINATOR {
            return Err(FactoryError::Discriminator(discriminator));
        }
        let verifier = Verifier::generate(&RustCrypto, passcode, &parameters)?;
        Ok(Self { discriminator, parameters, verifier })
    }

    /// Returns the bytes for the device, see the [crate](self). They are secret: with them, passcodes
    /// can be tried offline.
    pub fn to_bytes(&self) -> Secret<LEN> {
        let mut bytes = Secret::zero();
        let verifier = self.verifier.to_bytes();
        let parts: [&[u8]; 3] =
            [&self.discriminator.to_le_bytes(), &self.parameters.to_bytes(), verifier.as_bytes()];
        let all = parts.into_iter().flatten();
        bytes.as_mut_bytes().iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Returns the data in this form.
    pub fn write(&self, format: Format) -> Vec<u8> {
        let verifier = self.verifier.to_bytes();
        let pbkdf = array(&self.parameters.to_bytes());
        let verifier = array(verifier.as_bytes());
        let discriminator = self.discriminator;
        let (pbkdf_len, verifier_len) = (PbkdfParameters::ENCODED_LEN, Verifier::LEN);
        match format {
            Format::Binary => self.to_bytes().as_bytes().to_vec(),
            Format::Hex => (hex(self.to_bytes().as_bytes()) + "\n").into_bytes(),
            Format::C => format!(
                "#include <stdint.h>\n\n\
                 static const uint16_t MATTER_DISCRIMINATOR = {discriminator};\n\
                 /* Iterations and salt. */\n\
                 static const uint8_t MATTER_PBKDF[{pbkdf_len}] = {{\n{pbkdf}}};\n\
                 /* Secret. */\n\
                 static const uint8_t MATTER_VERIFIER[{verifier_len}] = {{\n{verifier}}};\n"
            )
            .into_bytes(),
            Format::Rust => format!(
                "pub const DISCRIMINATOR: u16 = {discriminator};\n\
                 /// Iterations and salt, for `PbkdfParameters::from_bytes`.\n\
                 pub const PBKDF: [u8; {pbkdf_len}] = [\n{pbkdf}];\n\
                 /// Secret, for `Verifier::from_bytes`.\n\
                 pub const VERIFIER: [u8; {verifier_len}] = [\n{verifier}];\n"
            )
            .into_bytes(),
        }
    }
}

/// The form in which data are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The bytes themselves.
    Binary,
    /// The bytes as one line of hexadecimal digits.
    Hex,
    /// Definitions for a C header: the bytes in two arrays, and the discriminator.
    C,
    /// The same for Rust.
    Rust,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "bin" => Ok(Self::Binary),
            "hex" => Ok(Self::Hex),
            "c" => Ok(Self::C),
            "rust" => Ok(Self::Rust),
            _ => Err(format!("no such format: {name} (bin, hex, c or rust)")),
        }
    }
}

/// Why there are no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactoryError {
    /// The discriminator has more than 12 bits.
    Discriminator(u16),
    /// The crypto backend failed.
    Crypto(CryptoError),
}

impl From<CryptoError> for FactoryError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl std::fmt::Display for FactoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discriminator(value) => {
                write!(f, "discriminator {value}: it must be 0 to {MAX_DISCRIMINATOR}")
            }
            Self::Crypto(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FactoryError {}

/// Reads bytes from hexadecimal digits; `None` if they are none.
pub fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The elements of an array, twelve in a line.
fn array(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(12) {
        let line: Vec<_> = line.iter().map(|byte| format!("0x{byte:02x},")).collect();
        let _ = writeln!(text, "    {}", line.join(" "));
    }
    text
}
