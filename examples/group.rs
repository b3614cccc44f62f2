//! A group: one message switches three lights. One of them restarts, another asks the sender for
//! its counter before it trusts a message, and what is replayed switches nothing.
//!
//! ```text
//! cargo run --example group
//! ```
//! The messages are multicast where the machine has an interface for that; else each light is sent
//! a copy.

#[macro_use]
mod ladder;

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;
use matter_session::MessageType;
use std::net::UdpSocket;
use std::time::Instant as StdInstant;

use ladder::{Authority, Outcome, system_rng};
use matter_session::context::Services;
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::GroupKey;
use matter_session::group::{
    CounterStore, EpochStart, GROUP_PORT, GroupCounter, GroupEpoch, GroupKeySet, SecurityPolicy,
    StoreError,
};
use matter_session::ids::{
    CaseAuthTags, FabricId, FabricIndex, Group, GroupId, GroupKeySetId, NodeId, ProtocolId,
};
use matter_session::manager::{
    Config, Event, GroupMessage, GroupSettings, HeapSessionManager, PeerAddress, Received,
};
use matter_session::time::Instant;
use socket2::{Domain, Protocol, Socket, Type};

const LIGHTS: GroupId = GroupId::new(0x0101);
const KEY_SET: GroupKeySetId = GroupKeySetId::new(42);

const SWITCH: NodeId = NodeId::new(0x51);
const INVOKE_REQUEST: u8 = 0x08;

/// The lights, and what each does about a sender that it does not know.
const RECEIVERS: [(&str, NodeId, SecurityPolicy); 3] = [
    ("kitchen", NodeId::new(0x11), SecurityPolicy::TrustFirst),
    ("hall", NodeId::new(0x12), SecurityPolicy::TrustFirst),
    ("door", NodeId::new(0x13), SecurityPolicy::CacheAndSync),
];

fn main() -> Outcome {
    let mut house = House::build()?;
    say!("{}\n", if house.multicast.is_some() { "multicast" } else { "a copy for each light" });

    let on = house.send(b"on")?;
    house.expect("all hear it, the door when it knows the counter", &["on"; 3])?;

    house.replay(&on)?;
    house.expect("what was heard before is not heard again", &[""; 3])?;

    house.restart("hall")?;
    house.send(b"off")?;
    house.expect("a light that has restarted hears what is new", &["off"; 3])?;

    house.replay(&on)?;
    house.expect("and nothing from before", &[""; 3])?;

    house.restart("switch")?;
    house.send(b"dim")?;
    house.expect("the counters of the switch go on after its restart", &["dim"; 3])
}

/// Where a node keeps its counters: this outlives its restarts. A device has flash for it.
#[derive(Clone, Copy, Debug, Default)]
struct Flash([Option<u64>; 2]);

impl CounterStore for Flash {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        Ok(self.0.get(counter as usize).copied().flatten())
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        *self.0.get_mut(counter as usize).ok_or(StoreError)? = Some(bound);
        Ok(())
    }
}

/// A node: a manager behind its sockets.
struct Node {
    name: &'static str,
    id: NodeId,
    policy: SecurityPolicy,
    manager: HeapSessionManager,
    fabric: FabricIndex,
    flash: Flash,
    unicast: UdpSocket,
    /// Has joined the group's address.
    group: Option<UdpSocket>,
    heard: Vec<String>,
}

impl Node {
    fn bind(name: &'static str, id: NodeId, policy: SecurityPolicy) -> Outcome<Self> {
        let unicast = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))?;
        unicast.set_nonblocking(true)?;
        Ok(Self {
            name,
            id,
            policy,
            manager: manager(),
            fabric: FabricIndex::MIN,
            flash: Flash::default(),
            unicast,
            group: None,
            heard: Vec::new(),
        })
    }

    /// What an administrator does over a session: credentials, keys, groups.
    fn join(&mut self, authority: &mut Authority, epoch_key: &Secret<16>) -> Outcome {
        let none = CaseAuthTags::NONE;
        (self.fabric, _) = authority.admit(&mut self.manager, self.id, none, &mut system_rng())?;
        let start = EpochStart::from_micros(1);
        let epochs = [GroupEpoch { key: GroupKey::EpochKey(epoch_key.clone()), start }];
        let set = GroupKeySet { id: KEY_SET, policy: self.policy, epochs: &epochs };
        self.manager.groups_mut().set_key_set(self.fabric, &set)?;
        let settings = GroupSettings::new(KEY_SET).with_privacy();
        Ok(self.manager.groups_mut().set(Group::new(self.fabric, LIGHTS), settings)?)
    }

    /// Takes in what has arrived, and sends what there is to send; whether there was anything.
    fn turn(&mut self, now: Instant) -> Outcome<bool> {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng).with_counters(&mut self.flash);
        let mut cx = services.at(now);
        self.manager.handle_timeout(&mut cx);
        let mut busy = false;
        for socket in [Some(&self.unicast), self.group.as_ref()].into_iter().flatten() {
            let mut buffer = [0; 1280];
            // An error: nothing has arrived, or a peer caused it: on some systems by a long datagram.
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            busy = true;
            let datagram = buffer.get_mut(..len).unwrap_or_default();
            match self.manager.handle_datagram(&mut cx, from.into(), datagram) {
                Received::Group(message) => self.heard.push(text(&message)),
                Received::Dropped(reason) => say!("{:>10} {reason}", self.name),
                _ => {}
            }
        }
        while let Some(event) = self.manager.poll_event() {
            if let Event::GroupMessages = event {
                while let Some(message) = self.manager.groups_mut().poll_message() {
                    self.heard.push(text(&message));
                }
            }
        }
        while let Some(transmit) = self.manager.poll_transmit(now) {
            if let PeerAddress::Udp(to) = transmit.to {
                say!(
                    "{:>10} counter synchronisation, {} bytes",
                    self.name,
                    transmit.datagram.len()
                );
                // A datagram that the socket refuses counts as lost.
                let _ = self.unicast.send_to(transmit.datagram, to);
            }
            busy = true;
        }
        Ok(busy)
    }
}

fn manager() -> HeapSessionManager {
    HeapSessionManager::new(Config::default(), RustCrypto, &mut system_rng())
}

fn text(message: &GroupMessage<'_>) -> String {
    String::from_utf8_lossy(message.payload).into_owned()
}

/// The switch, the lights, and what connects them.
struct House {
    begun: StdInstant,
    authority: Authority,
    epoch_key: Secret<16>,
    switch: Node,
    lights: Vec<Node>,
    /// The group's address on an interface that carries multicast.
    multicast: Option<SocketAddr>,
}

impl House {
    fn build() -> Outcome<Self> {
        let mut rng = system_rng();
        let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
        let mut epoch_key = Secret::zero();
        getrandom::fill(epoch_key.as_mut_bytes())?;
        let mut switch = Node::bind("switch", SWITCH, SecurityPolicy::TrustFirst)?;
        switch.join(&mut authority, &epoch_key)?;
        let mut lights = Vec::new();
        for (name, id, policy) in RECEIVERS {
            let mut light = Node::bind(name, id, policy)?;
            light.join(&mut authority, &epoch_key)?;
            lights.push(light);
        }
        let address =
            switch.manager.groups().address(Group::new(switch.fabric, LIGHTS)).ok_or("no group")?;
        let SocketAddr::V6(address) = address else { return Err("not IPv6".into()) };
        let interface = multicast_interface(*address.ip());
        let mut multicast = None;
        if let Some(interface) = interface {
            for light in &mut lights {
                light.group = Some(member(*address.ip(), interface)?);
            }
            let mut address = address;
            address.set_scope_id(interface);
            multicast = Some(address.into());
        }
        let begun = StdInstant::now();
        Ok(Self { begun, authority, epoch_key, switch, lights, multicast })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.begun.elapsed()
    }

    /// Sends a message to the group; its datagram.
    fn send(&mut self, payload: &[u8]) -> Outcome<Vec<u8>> {
        let (now, mut rng, mut buffer) = (self.now(), system_rng(), [0; 1280]);
        let switch = &mut self.switch;
        let mut services = Services::new(&mut rng).with_counters(&mut switch.flash);
        let mut cx = services.at(now);
        let (to, protocol) = (Group::new(switch.fabric, LIGHTS), ProtocolId::INTERACTION_MODEL);
        let manager = &mut switch.manager;
        let sent = manager.groups_mut().send(
            &mut cx,
            to,
            MessageType::new(protocol, INVOKE_REQUEST),
            payload,
            &mut buffer,
        )?;
        let datagram = sent.datagram.to_vec();
        say!("{:>10} {:?} to {}", "switch", text_of(payload), sent.to);
        self.replay(&datagram)?;
        Ok(datagram)
    }

    /// Puts a datagram on the network: the switch's, or of somebody who has recorded it.
    fn replay(&self, datagram: &[u8]) -> Outcome {
        let socket = &self.switch.unicast;
        if let Some(to) = self.multicast {
            socket.send_to(datagram, to)?;
            return Ok(());
        }
        for light in &self.lights {
            let mut to = light.unicast.local_addr()?;
            if to.is_ipv6() {
                to.set_ip(Ipv6Addr::LOCALHOST.into());
            }
            socket.send_to(datagram, to)?;
        }
        Ok(())
    }

    /// Lets everything happen that is going to, and checks who has heard what.
    fn expect(&mut self, what: &str, heard: &[&str]) -> Outcome {
        let mut quiet = StdInstant::now();
        while quiet.elapsed() < Duration::from_millis(50) {
            let now = self.now();
            let mut busy = false;
            for node in self.lights.iter_mut().chain([&mut self.switch]) {
                busy |= node.turn(now)? || node.manager.poll_timeout().is_some();
            }
            if busy {
                quiet = StdInstant::now();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for (light, expected) in self.lights.iter_mut().zip(heard) {
            let heard = core::mem::take(&mut light.heard).join(", ");
            if !heard.is_empty() {
                say!("{:>10} hears {heard:?}", light.name);
            }
            assert_eq!(heard, *expected, "{}", light.name);
        }
        say!("{:>10} {what}\n", "=>");
        Ok(())
    }

    /// A node loses all but its flash. Its administrator's settings it has stored as well.
    fn restart(&mut self, name: &str) -> Outcome {
        let nodes = self.lights.iter_mut().chain([&mut self.switch]);
        for node in nodes.filter(|node| node.name == name) {
            say!("{name:>10} restarts");
            node.manager = manager();
            node.join(&mut self.authority, &self.epoch_key)?;
        }
        Ok(())
    }
}

fn text_of(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// A socket that has joined a group, beside others on the same port.
fn member(group: Ipv6Addr, interface: u32) -> Outcome<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, GROUP_PORT)).into())?;
    socket.join_multicast_v6(&group, interface)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The first interface on which a multicast datagram comes back to its own machine.
fn multicast_interface(group: Ipv6Addr) -> Option<u32> {
    (1..=16).find(|interface| {
        let probe = || -> Outcome {
            let socket = member(group, *interface)?;
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            let mut to = SocketAddrV6::new(group, GROUP_PORT, 0, 0);
            to.set_scope_id(*interface);
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?.send_to(&[0], to)?;
            socket.recv_from(&mut [0])?;
            Ok(())
        };
        probe().is_ok()
    })
}
