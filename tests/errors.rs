//! Every error type is an error for the standard traits, without std too.

use core::error::Error;

const fn is_error<E: Error + Copy + Eq + Send + Sync + 'static>() {}

const _: () = {
    use matter_session::{
        btp, cert, check_in, crypto, fabric, group, handshake, manager, resumption, session,
        stream, tlv, wire,
    };

    is_error::<btp::BtpError>();
    is_error::<btp::BtpSendError>();
    is_error::<cert::CertError>();
    is_error::<cert::ChainError>();
    is_error::<cert::ChainFault>();
    is_error::<cert::CsrError>();
    #[cfg(feature = "issue")]
    is_error::<cert::IssueError>();
    #[cfg(feature = "issue")]
    is_error::<cert::X509Error>();
    is_error::<check_in::CheckInError>();
    is_error::<check_in::RegistrationError>();
    is_error::<check_in::SealError>();
    is_error::<crypto::CounterExhausted>();
    is_error::<crypto::CryptoError>();
    is_error::<crypto::PasscodeError>();
    is_error::<crypto::PbkdfError>();
    is_error::<crypto::SignError>();
    is_error::<crypto::StoreFirst>();
    is_error::<crypto::check::CheckError>();
    is_error::<fabric::FabricError>();
    is_error::<group::CounterError>();
    is_error::<group::KeySetError>();
    is_error::<group::StoreError>();
    is_error::<handshake::HandshakeError>();
    is_error::<handshake::Refusal>();
    is_error::<matter_session::context::Rejected>();
    #[cfg(feature = "keylog")]
    is_error::<matter_session::keylog::KeyLogError>();
    is_error::<manager::ConnectError>();
    is_error::<manager::Dropped>();
    is_error::<manager::FabricTableError>();
    is_error::<manager::GroupError>();
    is_error::<manager::GroupSendError>();
    is_error::<manager::HandshakeEnded>();
    is_error::<manager::MoveError>();
    is_error::<manager::NoPaseSession>();
    is_error::<manager::NoSession>();
    is_error::<manager::OpenError>();
    is_error::<manager::RestoreError>();
    is_error::<manager::SendError>();
    is_error::<manager::WindowError>();
    is_error::<resumption::RecordError>();
    is_error::<session::DecodeError>();
    is_error::<stream::FrameError>();
    is_error::<stream::StreamError>();
    is_error::<matter_session::bytes::Overflow>();
    is_error::<tlv::TlvError>();
    is_error::<wire::EncodeError>();
    is_error::<wire::WireError>();
};

/// A type that was forgotten above is found by its name.
#[test]
fn no_public_error_is_missing_above() {
    let (mut dirs, mut found) = (vec![std::path::PathBuf::from("src")], 0);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let item = line.strip_prefix("pub enum ").or(line.strip_prefix("pub struct "));
                let name: String =
                    item.unwrap_or("").chars().take_while(|c| c.is_alphanumeric()).collect();
                if name.ends_with("Error") || name.ends_with("Fault") {
                    found += 1;
                    let check = format!("::{name}>();");
                    assert!(include_str!("errors.rs").contains(&check), "{name} of {path:?}");
                }
            }
        }
    }
    assert!(found > 15);
}
