//! Rows: who reads what of whom, and for how long.

use core::time::Duration;
use std::thread;

use fleet::redis_server::RedisServer;
use fleet::store::{Order, Store};
use matter_session::crypto::Secret;
use matter_session::session::ResumptionId;
use redis::Commands;

use crate::world::{LIFETIME, World, beat, find, load, peer_of, record, save, settings};

fn store(server: &RedisServer, process: u8) -> Store {
    Store::start(settings(server.address(), process), || {})
}

#[test]
fn a_row_that_one_process_has_written_another_reads_by_peer_and_by_id() {
    let server = RedisServer::start().unwrap();
    let [mut one, mut other] = [1, 2].map(|process| store(&server, process));
    let [first, second] = [record(7, 1), record(7, 2)];
    let others = record(8, 3);
    save(&mut one, &first, LIFETIME);
    save(&mut one, &others, LIFETIME);
    let _ = beat(&mut one);
    assert_eq!(load(&mut other, peer_of(&first)), Some(first.clone()));
    assert_eq!(find(&mut other, first.id), Some(first.clone()));
    save(&mut other, &second, LIFETIME);
    let _ = beat(&mut other);
    assert_eq!(load(&mut one, peer_of(&first)), Some(second.clone()));
    assert_eq!(find(&mut one, first.id), None, "it was replaced");
    assert_eq!(find(&mut one, second.id), Some(second.clone()));
    one.order(Order::Remove(peer_of(&second)));
    assert_eq!(find(&mut one, second.id), None);
    assert_eq!(load(&mut other, peer_of(&second)), None);
    assert_eq!(load(&mut other, peer_of(&others)), Some(others));
}

#[test]
fn a_row_expires_with_its_record() {
    let server = RedisServer::start().unwrap();
    let mut store = store(&server, 1);
    let [short, long] = [record(7, 1), record(8, 2)];
    save(&mut store, &short, Duration::from_millis(1));
    save(&mut store, &long, LIFETIME);
    while load(&mut store, peer_of(&short)).is_some() {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(find(&mut store, short.id), None);
    assert_eq!(load(&mut store, peer_of(&long)), Some(long));
}

/// The peer that answers chooses the id of a record. A hostile one chooses that of another.
#[test]
fn a_peer_that_chooses_the_id_of_another_takes_no_record_from_it() {
    let server = RedisServer::start().unwrap();
    let mut store = store(&server, 1);
    let [victim, hostile] = [record(7, 1), record(8, 1)];
    save(&mut store, &victim, LIFETIME);
    save(&mut store, &hostile, LIFETIME);
    assert_eq!(load(&mut store, peer_of(&victim)), Some(victim));
    assert_eq!(load(&mut store, peer_of(&hostile)), Some(hostile.clone()));
    store.order(Order::Remove(peer_of(&hostile)));
    assert_eq!(find(&mut store, hostile.id), None, "its record is found by peer alone now");
}

#[test]
fn rows_are_encrypted_and_one_that_was_altered_or_moved_counts_as_none() {
    let server = RedisServer::start().unwrap();
    let mut store = store(&server, 1);
    let [one, other] = [record(7, 1), record(8, 2)];
    save(&mut store, &one, LIFETIME);
    save(&mut store, &other, LIFETIME);
    let _ = beat(&mut store);
    let address = (server.address().ip().to_string(), server.address().port());
    let mut raw = redis::Client::open(address).unwrap().get_connection().unwrap();
    let names = ["matter:row:1:0000000000000007", "matter:row:1:0000000000000008"];
    let rows: [Vec<u8>; 2] = names.map(|name| raw.hget(name, "row").unwrap());
    let secret = one.shared_secret.as_bytes();
    assert!(!rows[0].windows(8).any(|bytes| bytes == &secret[..8]), "it is encrypted");
    let _: () = raw.hset(names[0], "row", &rows[1]).unwrap();
    assert_eq!(load(&mut store, peer_of(&one)), None, "the row of another peer");
    for at in 0..rows[0].len() {
        let mut altered = rows[0].clone();
        altered[at] ^= 1;
        let _: () = raw.hset(names[0], "row", altered).unwrap();
        assert_eq!(load(&mut store, peer_of(&one)), None, "byte {at}");
    }
    for len in [0, 1, 12, 13, 28, rows[0].len() - 1] {
        let _: () = raw.hset(names[0], "row", &rows[0][..len]).unwrap();
        assert_eq!(load(&mut store, peer_of(&one)), None, "{len} bytes");
    }
    let _: () = raw.hset(names[0], "row", &rows[0]).unwrap();
    assert_eq!(load(&mut store, peer_of(&one)), Some(one));
    let mut stranger = settings(server.address(), 2);
    stranger.key = fleet::RowKey::new(Secret::new([8; 32]));
    let mut stranger = Store::start(stranger, || {});
    assert_eq!(load(&mut stranger, peer_of(&other)), None, "another key");
}

#[test]
fn keys_of_another_type_and_an_index_that_leads_nowhere_count_as_none() {
    let server = RedisServer::start().unwrap();
    let mut store = store(&server, 1);
    let address = (server.address().ip().to_string(), server.address().port());
    let mut raw = redis::Client::open(address).unwrap().get_connection().unwrap();
    let _: () = raw.set("matter:row:1:0000000000000007", "text").unwrap();
    let _: () = raw.set("matter:processes", "text").unwrap();
    let kept = record(8, 2);
    save(&mut store, &kept, LIFETIME);
    assert_eq!(load(&mut store, peer_of(&record(7, 1))), None);
    assert_eq!(beat(&mut store), None);
    for (n, name) in ["", "matter:row:", "matter:row:0:7", "matter:row:1:xyz", "matter:id:"]
        .into_iter()
        .enumerate()
    {
        let id = ResumptionId::new([n as u8; 16]);
        let key = format!("matter:id:{}", format!("{n:02x}").repeat(16));
        let _: () = raw.set(key, name).unwrap();
        assert_eq!(find(&mut store, id), None, "{name}");
    }
    assert_eq!(load(&mut store, peer_of(&kept)), Some(kept), "one error is not that of all");
}

#[test]
fn a_process_lives_as_long_as_it_renews_its_lease() {
    let server = RedisServer::start().unwrap();
    let [mut one, mut other] = [1, 2].map(|process| store(&server, process));
    assert_eq!(beat(&mut one), Some(vec![1]));
    let mut live = beat(&mut other).unwrap();
    live.sort_unstable();
    assert_eq!(live, [1, 2]);
    while beat(&mut other).unwrap() != [2] {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn another_process_resumes_as_initiator_from_what_the_first_has_saved() {
    let server = RedisServer::start().unwrap();
    let mut world = World::new();
    let mut processes = [1, 2].map(|process| world.process(settings(server.address(), process)));
    assert!(!world.meet(&mut processes[0]), "a full handshake");
    for _ in 0..3 {
        for process in processes.iter_mut().rev() {
            assert!(process.fetch());
            assert!(world.meet(process), "resumed");
        }
    }
    assert_eq!(world.records().len(), 1);
}
