//! Makes the data of one device. See [`factory_data`].

use std::error::Error;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;

use factory_data::{FactoryData, Format, MAX_DISCRIMINATOR, from_hex};
use lexopt::Arg::Long;
use lexopt::ValueExt;
use matter_session::crypto::{Passcode, PbkdfParameters};
use matter_session::rand_core::{Rng, UnwrapErr};

const USAGE: &str = "factory [--passcode N] [--discriminator N] [--iterations N] [--salt HEX]
        [--format bin|hex|c|rust]

Writes the data of one device to the standard output, and passcode and discriminator, which belong
on its label, to the standard error.

  --passcode       1 to 99999998; random by default. Others can see it in the list of processes
  --discriminator  0 to 4095; random by default
  --iterations     of PBKDF2, 1000 to 100000; 10000 by default
  --salt           16 to 32 bytes; 32 random bytes by default
  --format         hex by default";

/// PBKDF2 runs here and in the commissioner, not in the device.
const ITERATIONS: u32 = 10_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("factory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut passcode, mut discriminator, mut salt) = (None, None, None);
    let (mut iterations, mut format) = (ITERATIONS, Format::Hex);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("passcode") => passcode = Some(Passcode::new(parser.value()?.parse()?)?),
            Long("discriminator") => discriminator = Some(parser.value()?.parse()?),
            Long("iterations") => iterations = parser.value()?.parse()?,
            Long("salt") => {
                let digits = parser.value()?.string()?;
                salt = Some(from_hex(&digits).ok_or("--salt: no hexadecimal digits")?);
            }
            Long("format") => format = parser.value()?.parse()?,
            Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if format == Format::Binary && stdout().is_terminal() {
        return Err("binary data are not for a terminal: redirect them to a file".into());
    }
    let mut rng = UnwrapErr(getrandom::SysRng);
    let passcode = match passcode {
        Some(passcode) => passcode,
        None => Passcode::random(&mut rng)?,
    };
    let discriminator = match discriminator {
        Some(discriminator) => discriminator,
        None => u16::try_from(rng.next_u32() & u32::from(MAX_DISCRIMINATOR))?,
    };
    let parameters = match salt {
        Some(salt) => PbkdfParameters::new(iterations, &salt)?,
        None => PbkdfParameters::random(iterations, &mut rng)?,
    };
    let data = FactoryData::generate(&passcode, discriminator, parameters)?;
    stdout().write_all(&data.write(format))?;
    eprintln!("passcode {:08}, discriminator {discriminator}", passcode.expose());
    Ok(())
}
