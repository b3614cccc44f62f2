//! One connection to Redis.

use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;
use redis::{Client, Cmd, Connection, ConnectionLike, Pipeline, RedisResult, Value};

use super::scripts::{BEAT, CLAIM, FIND, REMOVE, SAVE};
use super::{Answer, Order, Settings};
use crate::system_rng;

/// All names begin with it.
const PREFIX: &str = "matter:";

/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// Executes orders, many in one round trip. Never repeats one: a save that arrives twice, the second
/// time after the record was claimed, would make it claimable again.
pub(super) struct Database {
    settings: Settings,
    connection: Option<Connection>,
    failed: Option<Clock>,
}

impl Database {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, connection: None, failed: None }
    }

    /// Executes orders and returns an answer to each that has one. Every answer is the harmless
    /// one if the store fails: no record, no claim.
    pub(super) fn execute(&mut self, orders: Vec<Order>) -> Vec<Answer> {
        let mut pipeline = Pipeline::with_capacity(orders.len());
        // One command that fails says nothing about the others.
        pipeline.ignore_errors();
        for order in &orders {
            pipeline.add_command(self.command(order));
        }
        let values = self.attempt(&pipeline).unwrap_or_default();
        let values = values.into_iter().map(Some).chain(core::iter::repeat_with(|| None));
        let answers = orders.into_iter().zip(values);
        answers.filter_map(|(order, value)| self.answer(order, value)).collect()
    }

    fn attempt(&mut self, pipeline: &Pipeline) -> Option<Vec<Value>> {
        if self.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return None;
        }
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => connect(self.settings.address, self.settings.timeout),
        };
        let result = connection.and_then(|mut connection| {
            let values = pipeline.query(&mut connection)?;
            Ok((connection, values))
        });
        match result {
            Ok((connection, values)) if connection.is_open() => {
                self.failed = None;
                self.connection = Some(connection);
                Some(values)
            }
            // Answers that come late would be taken for those of the next commands.
            _ => {
                self.failed = Some(Clock::now());
                None
            }
        }
    }

    fn command(&self, order: &Order) -> Cmd {
        let id_prefix = format!("{PREFIX}id:");
        match order {
            Order::Load(peer) => {
                let mut command = redis::cmd("HGET");
                command.arg(row_of(*peer)).arg("row");
                command
            }
            Order::Find(id) => script(FIND, &[id_prefix + &hex(id)]),
            Order::Save { peer, id, record, expires_in } => {
                let row = self.settings.key.seal(*peer, record, &mut system_rng());
                let mut command = script(SAVE, &[row_of(*peer), id_prefix.clone() + &hex(id)]);
                let millis = u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX);
                // An expiry must be positive, and Redis adds it to the time of day.
                let millis = millis.clamp(1, u64::from(u32::MAX) * 1000);
                command.arg(hex(id)).arg(row.unwrap_or_default()).arg(millis).arg(id_prefix);
                command
            }
            Order::Remove(peer) => {
                let mut command = script(REMOVE, &[row_of(*peer)]);
                command.arg(id_prefix);
                command
            }
            Order::Claim(request) => {
                let mut command = script(CLAIM, &[row_of(request.peer())]);
                command.arg(hex(request.id()));
                command
            }
            Order::Beat => {
                let mut command = script(BEAT, &[format!("{PREFIX}processes")]);
                command.arg(self.settings.process).arg(self.settings.lease.as_millis() as u64);
                command
            }
        }
    }

    fn answer(&self, order: Order, value: Option<Value>) -> Option<Answer> {
        match order {
            Order::Load(peer) => {
                let row = value.and_then(bytes);
                let record = row.and_then(|row| self.settings.key.open(peer, &row));
                Some(Answer::Loaded(peer, record.map(Box::new)))
            }
            Order::Find(id) => {
                // The record says itself which id it has: an index can be of another time.
                let record = value.and_then(|value| self.found(value));
                Some(Answer::Found(id, record.filter(|record| record.id == id).map(Box::new)))
            }
            Order::Save { .. } | Order::Remove(_) => None,
            Order::Claim(request) => {
                Some(Answer::Claimed(request.complete(value == Some(Value::Int(1)))))
            }
            Order::Beat => Some(Answer::Live(value.and_then(processes))),
        }
    }

    fn found(&self, value: Value) -> Option<ResumptionRecord> {
        let Value::Array(parts) = value else { return None };
        let [name, row] = <[Value; 2]>::try_from(parts).ok()?.map(bytes);
        self.settings.key.open(peer_of(&name?)?, &row?)
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> RedisResult<Connection> {
    let client = Client::open((address.ip().to_string(), address.port()))?;
    let connection = client.get_connection_with_timeout(timeout)?;
    connection.set_read_timeout(Some(timeout))?;
    connection.set_write_timeout(Some(timeout))?;
    Ok(connection)
}

fn script(script: &str, keys: &[String]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

fn row_of(Peer { fabric, node }: Peer) -> String {
    format!("{PREFIX}row:{}:{:016x}", fabric.get(), node.get())
}

fn peer_of(name: &[u8]) -> Option<Peer> {
    let name = core::str::from_utf8(name).ok()?.strip_prefix(PREFIX)?.strip_prefix("row:")?;
    let (fabric, node) = name.split_once(':')?;
    let node = NodeId::new(u64::from_str_radix(node, 16).ok()?);
    Some(Peer::new(FabricIndex::new(fabric.parse().ok()?)?, node))
}

fn hex(id: &ResumptionId) -> String {
    id.as_bytes().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn processes(value: Value) -> Option<Vec<u8>> {
    let Value::Array(processes) = value else { return None };
    let parse = |value| core::str::from_utf8(&bytes(value)?).ok()?.parse().ok();
    processes.into_iter().map(parse).collect()
}
