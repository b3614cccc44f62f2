//! A CASE handshake whose operational key sits in a secure element: the manager asks for a
//! signature with an event, goes on acknowledging while the element works, and takes the
//! signature three polls later.
//!
//! ```text
//! cargo run --example hsm_signer
//! ```

#[macro_use]
mod ladder;

use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ladder::{
    Authority, DEVICE, Direction, Outcome, Pair, draw_heading, draw_note, draw_session, system_rng,
};
use matter_session::context::Services;
use matter_session::crypto::SigningKey;
use matter_session::handshake::{SignRequest, Signed};
use matter_session::ids::{CaseAuthTags, FabricId, NodeId, Peer};

const CONTROLLER_NODE: NodeId = NodeId::new(0xC0);
const DEVICE_NODE: NodeId = NodeId::new(0xDE);

/// How often the element is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

fn main() -> Outcome {
    let mut pair = Pair::new();
    let mut rng = system_rng();
    let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
    let none = CaseAuthTags::NONE;

    // The controller signs in memory. The device's key moves into its secure element.
    let (fabric, key) =
        authority.admit(&mut pair.controller.manager, CONTROLLER_NODE, none, &mut rng)?;
    pair.controller.key = Some(key);
    let (_, key) = authority.admit(&mut pair.device.manager, DEVICE_NODE, none, &mut rng)?;
    let mut element = SecureElement::holding(key);

    draw_heading("CASE with a slow secure element");
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);
    pair.controller.manager.connect_case(&mut cx, DEVICE, Peer::new(fabric, DEVICE_NODE))?;
    pair.carry()?;

    // Sigma1 has arrived, and the device cannot answer before it has a signature.
    let request = pair.device.unsigned.pop().ok_or("the device asked for no signature")?;
    draw_note("--- Event::SignRequest: the digest goes to the element ---");
    element.begin(request)?;

    let signed = loop {
        // The node does not wait for its element: timers run, an acknowledgement goes out.
        pair.wait(POLL_INTERVAL)?;
        match element.poll()? {
            Some(signed) => break signed,
            None => draw_note("--- polled: busy ---"),
        }
    };
    draw_note("--- polled: signed; manager.sign ---");
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);
    assert!(
        pair.device.manager.complete_signature(&mut cx, signed).is_ok(),
        "the handshake still waits"
    );
    pair.carry()?;

    let (ours, resumed) = pair.controller.established()?;
    let (theirs, _) = pair.device.established()?;
    assert!(!resumed);
    assert_eq!(element.polls, 3);
    // One Sigma1, one acknowledgement of it, then Sigma2: nothing had to be repeated.
    let kinds: Vec<_> = pair.crossed.iter().take(3).map(|(direction, _)| *direction).collect();
    assert_eq!(kinds, [Direction::ToDevice, Direction::ToController, Direction::ToController]);

    say!();
    let session = pair.controller.manager.session(ours).ok_or("the controller's is gone")?;
    draw_session("controller", session.session());
    let session = pair.device.manager.session(theirs).ok_or("the device's is gone")?;
    draw_session("device", session.session());
    Ok(())
}

/// A secure element behind a bus: it is given work, then polled until the work is done. It runs
/// on a thread of its own, and the key never leaves it.
struct SecureElement {
    commands: Sender<Command>,
    answers: Receiver<Option<Signed>>,
    polls: u32,
}

enum Command {
    Sign(SignRequest),
    Poll,
}

impl SecureElement {
    fn holding(mut key: SigningKey) -> Self {
        let (commands, inbox) = channel();
        let (outbox, answers) = channel();
        thread::spawn(move || {
            let mut work = None;
            let mut busy_polls = 0;
            for command in inbox {
                match command {
                    Command::Sign(request) => (work, busy_polls) = (Some(request), 2),
                    Command::Poll => {
                        let ready = busy_polls == 0;
                        busy_polls -= i32::from(!ready);
                        let done = work.take_if(|_| ready);
                        let answer = done.map(|request| request.sign_with(&mut key));
                        if outbox.send(answer).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self { commands, answers, polls: 0 }
    }

    /// Gives the element a digest to sign.
    fn begin(&self, request: SignRequest) -> Outcome {
        Ok(self.commands.send(Command::Sign(request)).map_err(|_| "the element is gone")?)
    }

    /// The signature, once the element has made it.
    fn poll(&mut self) -> Outcome<Option<Signed>> {
        self.polls += 1;
        self.commands.send(Command::Poll).map_err(|_| "the element is gone")?;
        Ok(self.answers.recv()?)
    }
}
