//! How a node takes in datagrams and events, and whether it agrees with its manager.

use core::time::Duration;

use matter_session::ids::{MessageType, Peer};
use matter_session::manager::{
    CloseReason, Dropped, Event, ExchangeHandle, PeerAddress, Received, SendError, SessionHandle,
    Storage,
};
use matter_session::session::SessionKind;
use matter_session::time::Instant;

use matter_session::wire::{HEADROOM, TAILROOM};

use super::book::{Delivery, Sent};
use super::group_book::Heard;
use super::ledger::is_group;
use super::node::{IM, Node, Scene, Talk};
use super::suite::Suite;

/// The longest payload, in octets; over TCP longer ones would be possible.
const LONGEST: usize = 2_000;

/// More events than a single call adds.
const STEP: usize = 16;

impl<X: Suite, S: Storage> Node<X, S> {
    pub fn receive(&mut self, scene: &mut Scene<'_>, from: PeerAddress, octets: &mut [u8]) {
        let copy = is_group(octets).then(|| octets.to_vec());
        let (manager, mut services) = self.with_services();
        let mut cx = services.at(scene.now);
        let (mut heard, mut has_no_room) = (None, false);
        let received = match manager.handle_datagram(&mut cx, from, octets) {
            Received::Message(message) => {
                let payload = message.payload.to_vec();
                Some((message.session, message.exchange, message.first, payload))
            }
            Received::Group(message) => {
                heard = Some(Heard::new(message, false));
                None
            }
            Received::Dropped(reason) => {
                scene.tell(self.name, || format!("drops a datagram of {from}: {reason}"));
                has_no_room = reason == Dropped::GroupSender;
                None
            }
            _ => None,
        };
        if let Some(octets) = copy.filter(|_| has_no_room) {
            self.note_crowd(scene, &octets);
        }
        self.look(scene);
        if let Some((session, exchange, first, payload)) = received {
            self.take_in(scene, session, exchange, first, &payload);
        }
        if let Some(heard) = heard {
            self.hear_group(scene, &heard);
        }
    }

    fn take_in(
        &mut self,
        scene: &mut Scene<'_>,
        session: SessionHandle,
        exchange: ExchangeHandle,
        first: bool,
        payload: &[u8],
    ) {
        if first {
            let talk = Talk::on(session, false);
            let known = self.app.exchanges.insert(exchange, talk);
            assert!(known.is_none(), "an exchange begins twice");
        }
        let talk = self.app.exchanges.get(&exchange).expect("an exchange that never began");
        assert!(!talk.is_closed, "a message on a closed exchange");
        assert_eq!(talk.session, session, "an exchange of another session");
        let known = self.app.sessions.get(&session).expect("a message of an unknown session");
        let to = Delivery { exchange: exchange.id().get(), initiator: talk.is_ours };
        let number = scene.book.deliver(&known.end, known.challenge, to, payload);
        scene.tell(self.name, || format!("gets message {number} on {exchange:?}"));
        if self.app.is_silent {
            if self.app.hangs_up && first {
                self.close_exchange(scene, exchange);
            }
            return;
        }
        match scene.dice.below(20) {
            0..7 => self.say(scene, exchange),
            7..9 => {
                self.say(scene, exchange);
                self.close_exchange(scene, exchange);
            }
            9..14 => self.close_exchange(scene, exchange),
            _ => {}
        }
    }

    pub fn open_exchange(
        &mut self,
        scene: &mut Scene<'_>,
        session: SessionHandle,
    ) -> Option<ExchangeHandle> {
        let (manager, mut services) = self.with_services();
        let exchange = manager.open_exchange(&mut services.at(scene.now), session).ok()?;
        let talk = Talk::on(session, true);
        let known = self.app.exchanges.insert(exchange, talk);
        assert!(known.is_none(), "a handle names two exchanges");
        Some(exchange)
    }

    /// A message with a number that no other has, and what it is about.
    fn compose(&mut self, scene: &mut Scene<'_>, exchange: ExchangeHandle) -> Option<Sent> {
        let talk = self.app.exchanges.get(&exchange)?;
        let known = self.app.sessions.get(&talk.session)?;
        let number = scene.book.next_number();
        let mut payload = number.to_le_bytes().to_vec();
        payload.extend(known.challenge);
        payload.extend(exchange.id().get().to_le_bytes());
        let most = self.manager.sessions().max_payload(exchange, IM);
        let most = most.unwrap_or(payload.len()).min(LONGEST);
        let len = match scene.dice.below(8) {
            0 => most,
            1 => scene.dice.below(most as u64 + 1) as usize,
            _ => payload.len() + scene.dice.below(40) as usize,
        };
        let len = len.max(payload.len());
        payload.resize(len, number as u8);
        Some(Sent {
            node: self.name,
            challenge: known.challenge,
            exchange: exchange.id().get(),
            initiator: talk.is_ours,
            payload,
            delivered: false,
        })
    }

    /// Sends a reliable message on an exchange, if that is possible.
    pub fn say(&mut self, scene: &mut Scene<'_>, exchange: ExchangeHandle) {
        let Some(message) = self.compose(scene, exchange) else { return };
        let number = scene.book.next_number();
        let payload = message.payload.clone();
        let sent =
            self.call(scene, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
        scene.tell(self.name, || format!("sends message {number} on {exchange:?}: {sent:?}"));
        match sent {
            Ok(()) => {
                scene.book.send(message);
                let talk = self.app.exchanges.get_mut(&exchange).unwrap();
                let session = self.manager.session(talk.session).unwrap();
                // Nobody hears of messages over TCP.
                if !session.peer_address().is_reliable() {
                    talk.waits.push_back(number);
                }
                talk.requests += u32::from(talk.is_ours);
            }
            // Whether its last message has an end is asked when all is quiet.
            Err(
                SendError::Closed | SendError::InFlight | SendError::Backlog | SendError::NoRoom,
            ) => {}
            Err(error) => panic!("message {number} was not sent: {error}"),
        }
    }

    pub fn say_unreliably(&mut self, scene: &mut Scene<'_>, exchange: ExchangeHandle) {
        let Some(message) = self.compose(scene, exchange) else { return };
        let mut buf = [0; LONGEST + HEADROOM + TAILROOM];
        let (manager, mut services) = self.with_services();
        let mut cx = services.at(scene.now);
        let sent = manager.send_unreliable(
            &mut cx,
            exchange,
            MessageType::new(IM, 2),
            &message.payload,
            &mut buf,
        );
        if let Ok(transmit) = sent {
            let sent = (transmit.to, transmit.datagram.to_vec());
            self.app.outbox.push_back(sent);
            scene.book.send(message);
        }
    }

    /// Waits for a message on an exchange.
    pub fn expect_response(&mut self, scene: &mut Scene<'_>, exchange: ExchangeHandle) {
        let processing = Duration::from_millis(scene.dice.below(20_000));
        let waits =
            self.call(scene, |m, cx| m.sessions_mut().expect_response(cx, exchange, processing));
        let talk = self.app.exchanges.get_mut(&exchange).expect("an exchange of its own");
        assert!(!waits || !talk.is_closed, "a closed exchange waits");
        talk.requests += u32::from(waits);
        scene.tell(self.name, || format!("waits {processing:?} on {exchange:?}: {waits}"));
    }

    pub fn close_exchange(&mut self, scene: &mut Scene<'_>, exchange: ExchangeHandle) {
        self.manager.close_exchange(exchange);
        let Some(talk) = self.app.exchanges.get_mut(&exchange) else { return };
        talk.is_closed = true;
        if let Some(known) = self.app.sessions.get(&talk.session).filter(|_| !talk.is_ours) {
            scene.book.close(known.challenge, exchange.id().get(), self.name);
        }
        scene.tell(self.name, || format!("closes {exchange:?}"));
    }

    /// Takes what the manager tells, if the application does not lag behind.
    pub fn poll_events(&mut self, scene: &mut Scene<'_>) {
        while !self.app.lags
            && let Some(event) = self.manager.poll_event()
        {
            scene.tell(self.name, || format!("is told {event:?}"));
            self.hear(scene, event);
        }
    }

    fn hear(&mut self, scene: &mut Scene<'_>, event: Event<u64>) {
        match event {
            Event::Established { session, handshake, resumed, .. } => {
                let known = self.app.sessions.get_mut(&session).expect("an unknown session");
                assert!(!known.is_told, "a session is established twice");
                known.is_told = true;
                scene.book.establish(known.challenge, self.name, resumed);
                if let Some(handshake) = handshake {
                    assert!(self.app.dialling.remove(&handshake), "ended twice: {handshake:?}");
                    self.app.dialled.insert(handshake, Some(session));
                }
            }
            Event::HandshakeFailed { handshake, .. } => {
                scene.book.figures.failed += 1;
                if let Some(handshake) = handshake {
                    assert!(self.app.dialling.remove(&handshake), "ended twice: {handshake:?}");
                    self.app.dialled.insert(handshake, None);
                }
            }
            Event::SignRequest(request) if self.app.signs_late => self.app.requests.push(request),
            Event::SignRequest(request) => {
                // Its fabric may be gone, and the handshake with it.
                let Some((fabric, issue)) = self.app.fabrics.get(&request.fabric()) else { return };
                let signed = X::pool().member(*fabric, self.name, *issue).sign(request);
                self.call(scene, |manager, cx| manager.complete_signature(cx, signed).is_ok());
            }
            Event::ClaimRequest(request) if self.app.signs_late => self.app.claims.push(request),
            Event::ClaimRequest(request) => self.complete_claim(scene, request, true),
            Event::Acknowledged { exchange, .. } => {
                let talk = self.app.exchanges.get_mut(&exchange).expect("an unknown exchange");
                let number = talk.waits.pop_front().expect("nothing was in flight");
                self.app.acknowledged.insert(number);
                scene.book.acknowledge(number);
            }
            Event::Undelivered { exchange, .. } => {
                scene.book.figures.undelivered += 1;
                let talk = self.app.exchanges.get_mut(&exchange).expect("an unknown exchange");
                let waited = talk.waits.pop_front().is_some();
                // Over TCP, of one that was displaced, or whose session ended, before its message was
                // sent.
                let session = self.manager.session(talk.session);
                let lives = session.is_some();
                let over_tcp = session.is_none_or(|session| session.peer_address().is_reliable());
                let ended = !talk.is_ours || !lives;
                assert!(waited || over_tcp && ended, "nothing was in flight");
            }
            Event::NoResponse { exchange, .. } => {
                scene.book.figures.unanswered += 1;
                let talk = self.app.exchanges.get_mut(&exchange).expect("an unknown exchange");
                talk.requests = talk.requests.checked_sub(1).expect("nothing was asked for");
            }
            Event::Closed { session, data, reason, .. } => {
                let known = self.app.sessions.remove(&session).expect("an unknown session closes");
                assert!(known.is_told, "a session closes before it is established");
                assert_eq!(known.context, data, "the data of another session");
                assert!(self.manager.session(session).is_none(), "a closed session lives");
                scene.book.figures.evicted += u64::from(reason == CloseReason::Evicted);
                self.app.exchanges.retain(|_, talk| talk.session != session);
            }
            Event::RecordChanged { peer: Peer { fabric, node: peer }, .. } => {
                self.store_record(fabric, peer)
            }
            Event::GroupMessages => self.hear_what_waited(scene),
            // Its fabric may be gone.
            Event::GroupSendersFull { fabric, .. } if self.app.fabrics.contains_key(&fabric) => {
                assert!(self.app.full.insert(fabric), "told twice");
            }
            _ => {}
        }
    }

    /// What holds after every step.
    pub fn check(&mut self, is_frozen: bool) {
        let running = self.manager.handshakes().len();
        let (manager, limits, app) = (&self.manager, &self.limits, &self.app);
        assert!(manager.sessions().len() <= limits.sessions, "{manager:?} {limits:?}");
        assert!(manager.sessions().exchange_count() <= limits.exchanges, "{manager:?} {limits:?}");
        assert!(running <= limits.handshakes, "{manager:?} {limits:?}");
        assert!(manager.fabrics().len() <= limits.fabrics, "{manager:?} {limits:?}");
        assert!(manager.records().len() <= limits.records, "{manager:?} {limits:?}");
        let state = format!("{manager:?}");
        assert!(size_of(&state, "key_sets") <= limits.key_sets, "{state} {limits:?}");
        assert!(size_of(&state, "senders") <= limits.senders, "{state} {limits:?}");
        assert!(size_of(&state, "syncs") <= limits.waiting, "{state} {limits:?}");
        assert!(size_of(&state, "waiting") <= limits.waiting, "{state} {limits:?}");
        assert!(size_of(&state, "handshakes") <= limits.handshakes, "{state} {limits:?}");
        let most = limits.sessions + limits.exchanges + limits.handshakes + limits.records;
        let most = most.saturating_add(limits.events + STEP);
        assert!(size_of(&state, "events") <= most, "{state} {limits:?}");
        let groups: usize = app.fabrics.keys().map(|of| manager.groups().iter(*of).count()).sum();
        assert!(groups <= limits.groups && groups == app.groups.len(), "{state} {limits:?}");
        for session in manager.sessions().iter() {
            let handle = session.handle();
            assert!(app.sessions.contains_key(&handle), "a session that nobody saw");
            assert_eq!(manager.sessions().by_id(handle.local_session_id()), Some(handle));
            let identity = session.session().identity();
            if let Some(fabric) = identity.fabric().filter(|_| identity.kind() == SessionKind::Case)
            {
                let mut with_peer =
                    manager.sessions().with_peer(Peer::new(fabric, identity.peer_node()));
                assert!(with_peer.any(|other| other == handle), "not found by its peer");
                let with_peer =
                    manager.sessions().with_peer(Peer::new(fabric, identity.peer_node())).count();
                assert!(
                    with_peer <= self.config.max_sessions_per_peer.into(),
                    "too many of a peer"
                );
                let best = manager.session_with(Peer::new(fabric, identity.peer_node()));
                match best.and_then(|best| manager.session(best)) {
                    Some(best) => assert!(!best.is_defunct(), "a defunct one is offered"),
                    None => assert!(session.is_defunct(), "none is offered"),
                }
            }
        }
        let outside = manager.records().is_empty() || self.vault.is_none();
        assert!(outside, "a record in the manager, too");
        for record in manager.dangerous_records() {
            let found = manager.dangerous_record(Peer::new(record.fabric, record.peer));
            assert_eq!(found, Some(record), "not found by its peer");
        }
        if app.lags || is_frozen {
            return;
        }
        for (handle, known) in &app.sessions {
            assert!(manager.session(*handle).is_some(), "the end of a session was not told");
            assert!(known.is_told, "the beginning of a session was not told");
        }
        for ((fabric, peer), stored) in &app.stored_records {
            let record = manager.dangerous_record(Peer::new(*fabric, *peer));
            let bytes = record.expect("the end of a record was not told").to_bytes();
            assert_eq!(stored[..], bytes.as_bytes()[..], "a change was not told");
        }
    }

    /// Stops to make trouble, and to answer.
    pub fn recover(&mut self, scene: &mut Scene<'_>) {
        (self.app.lags, self.app.signs_late, self.app.is_silent) = (false, false, true);
        self.bounds.is_reliable = true;
        self.manager.handshakes().set_busy(None);
        self.manager.window().close();
        self.poll_events(scene);
    }

    /// Is ready for a commissioner, which no former one may hinder.
    pub fn expect_commissioner(&mut self, scene: &mut Scene<'_>) {
        while let Some(session) = self.manager.sessions().pase() {
            self.call(scene, |manager, cx| manager.close_session(cx, session));
            self.poll_events(scene);
        }
        let (manager, mut services) = self.with_services();
        let mut cx = services.at(scene.now);
        let opened = manager.window().open(&mut cx, X::pool().window(None));
        assert_eq!(opened, Ok(()), "a quiet node opens its window");
    }

    /// What holds when nothing is under way any more.
    pub fn check_quiet(&mut self) {
        let state = format!("node {} {:?}", self.name, self.manager);
        assert_eq!(self.manager.sessions().exchange_count(), 0, "{state}");
        for table in ["handshakes", "deadlines", "ready", "events", "syncs", "waiting"] {
            assert_eq!(size_of(&state, table), 0, "{table}: {state}");
        }
        assert!(self.manager.is_settled(), "{state}");
        assert!(self.app.dialling.is_empty(), "a handshake without an end: {state}");
        for (exchange, talk) in &self.app.exchanges {
            assert!(talk.waits.is_empty(), "a message without an end: {exchange:?} {state}");
        }
        self.check(false);
    }

    /// Nothing is due but the expiry of records.
    pub fn is_quiet(&self) -> bool {
        let records = self.manager.poll_timeout().is_some();
        let state = format!("{:?}", self.manager);
        let tables =
            ["exchanges", "handshakes", "deadlines", "ready", "events", "syncs", "waiting"];
        (!records || self.manager.dangerous_records().next().is_some())
            && tables.iter().all(|table| size_of(&state, table) == 0)
    }

    pub fn due(&self) -> Option<Instant> {
        self.manager.poll_timeout()
    }
}

/// How many entries a table of a manager has, according to its `Debug`.
fn size_of(state: &str, table: &str) -> usize {
    let (_, rest) = state.split_once(&format!(" {table}: ")).expect("a table of the manager");
    rest.split([',', ' ']).next().unwrap().parse().expect("a number")
}
