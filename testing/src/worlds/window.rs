//! A commissioning window and its end: datagrams arrive after a deadline whose timer has not run.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::manager::{Config, Storage};

use super::lab::Lab;
use super::{Act, World, of_lab};

const PASSCODE: u32 = 20_202_021;
/// The window is open for so long.
const WINDOW: Duration = Duration::from_secs(180);
/// A handshake of PASE takes at most so long.
const HANDSHAKE: u64 = 60_000;
const PBKDF_PARAM_RESPONSE: u8 = 0x21;

pub struct Window<S: Storage> {
    lab: Lab<S>,
    opened: u64,
    /// When the request came that the device serves.
    begun: Option<u64>,
    /// How many datagrams of the tape were looked at.
    looked: usize,
}

impl<S: Storage> World for Window<S> {
    fn begin() -> Self {
        let mut lab = Lab::new(vec![Config::default(); 2], Lab::<S>::joined());
        lab.nodes[0].says = 1;
        let passcode = Passcode::new(PASSCODE).unwrap();
        let opened = lab.now;
        lab.call(1, |m, cx| m.window().open_for(cx, &passcode, Some(WINDOW))).unwrap();
        let address = lab.nodes[1].address;
        let passcode = Passcode::new(PASSCODE).unwrap();
        let handshake = lab.call(0, |m, cx| m.connect_pase(cx, address, passcode)).unwrap();
        lab.nodes[0].waits.insert(handshake);
        lab.drain();
        Self { lab, opened, begun: None, looked: 0 }
    }

    fn next(&self) -> Option<Act> {
        self.lab.next(10_000)
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.lab.acts();
        acts.extend([Act::Sleep(20), Act::Sleep(61), Act::Sleep(181)]);
        acts
    }

    fn act(&mut self, act: Act) {
        let established = self.lab.nodes[1].established;
        self.lab.act(act);
        let now = self.lab.now;
        for datagram in &self.lab.tape[self.looked..] {
            if datagram.opcode() == Some(PBKDF_PARAM_RESPONSE) {
                self.begun = Some(now);
                if now >= self.opened + WINDOW.as_millis() as u64 {
                    self.lab.fault.get_or_insert("a window that serves after its end");
                }
            }
        }
        self.looked = self.lab.tape.len();
        let is_late = self.begun.is_some_and(|begun| now >= begun + HANDSHAKE);
        if self.lab.nodes[1].established > established && is_late {
            self.lab.fail("a handshake that goes on after its end");
        }
    }

    fn end(&mut self) {
        self.lab.settle(200_000);
        self.lab.finish();
    }

    of_lab!();
}
