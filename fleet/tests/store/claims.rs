//! Attackers repeat a Sigma1 to several processes, and while the store goes back in time. The keys of
//! the session come from the Sigma1 and the record alone, so it must be answered once.

use core::time::Duration;
use std::{fs, thread};

use fleet::redis_server::RedisServer;

use crate::world::{LIFETIME, Process, Reply, World, device, load, save, settings};

/// A process that has met the device, others that have fetched the record, and the Sigma1 of the
/// device.
fn met(store: &RedisServer, others: u8) -> (World, Vec<Process>, Vec<u8>) {
    let mut world = World::new();
    let mut first = world.process(settings(store.address(), 0));
    assert!(!world.meet(&mut first));
    let mut processes = vec![first];
    for number in 1..=others {
        let mut process = world.process(settings(store.address(), number));
        assert!(process.fetch());
        processes.push(process);
    }
    let sigma1 = world.sigma1();
    (world, processes, sigma1)
}

fn count(replies: &[Reply]) -> usize {
    assert!(!replies.contains(&Reply::Waits));
    replies.iter().filter(|reply| **reply == Reply::Resumed).count()
}

#[test]
fn of_claims_that_race_one_wins() {
    let store = RedisServer::start().unwrap();
    for _ in 0..5 {
        let (_, mut processes, sigma1) = met(&store, 3);
        // All ask before any has its answer.
        for process in &mut processes {
            assert_eq!(process.begin(&sigma1), Reply::Waits);
        }
        let replies: Vec<_> = thread::scope(|scope| {
            let claims = processes.iter_mut().map(|process| scope.spawn(|| process.claimed()));
            let claims: Vec<_> = claims.collect();
            claims.into_iter().map(|claim| claim.join().unwrap()).collect()
        });
        assert_eq!(count(&replies), 1, "{replies:?}");
    }
}

#[test]
fn a_sigma1_that_was_answered_is_answered_in_full_by_every_other_process() {
    let store = RedisServer::start().unwrap();
    let (world, mut processes, sigma1) = met(&store, 1);
    assert_eq!(processes[1].reply(&sigma1), Reply::Resumed);
    assert_eq!(processes[0].reply(&sigma1), Reply::InFull);
    // One that starts now finds the record, which serves those who offer it, but cannot claim it.
    let mut late = world.process(settings(store.address(), 9));
    assert!(late.fetch());
    assert_eq!(late.reply(&sigma1), Reply::InFull);
}

#[test]
fn a_record_that_is_saved_again_after_its_claim_is_not_granted_again() {
    let store = RedisServer::start().unwrap();
    let (world, mut processes, sigma1) = met(&store, 1);
    let saved = load(&mut processes[0].store, device()).unwrap();
    assert_eq!(processes[1].reply(&sigma1), Reply::Resumed);
    let mut late = world.process(settings(store.address(), 9));
    save(&mut late.store, &saved, LIFETIME);
    assert!(late.fetch());
    assert_eq!(late.reply(&sigma1), Reply::InFull);
}

#[test]
fn a_store_that_goes_back_in_time_grants_nothing_again() {
    let mut store = RedisServer::start().unwrap();
    let backup = std::env::temp_dir().join(format!("fleet-backup-{}", std::process::id()));
    let (world, mut processes, sigma1) = met(&store, 1);
    store.back_up(&backup).unwrap();
    assert_eq!(processes[1].reply(&sigma1), Reply::Resumed);
    store.kill();
    store.bring_back(&backup).unwrap();
    store.restart().unwrap();
    fs::remove_dir_all(&backup).unwrap();
    let mut late = world.process(settings(store.address(), 9));
    assert!(late.fetch(), "the row is back");
    assert_eq!(late.reply(&sigma1), Reply::InFull);
}

/// It grants none that was not granted before, either: nobody knows which of them were.
#[test]
fn what_was_saved_before_the_store_was_restarted_serves_those_who_offer_it_alone() {
    let mut store = RedisServer::start().unwrap();
    let (mut world, _, sigma1) = met(&store, 0);
    store.restart().unwrap();
    let mut process = world.process(settings(store.address(), 2));
    assert!(process.fetch());
    assert_eq!(process.reply(&sigma1), Reply::InFull);
    let mut other = world.process(settings(store.address(), 3));
    assert!(other.fetch());
    assert!(world.meet(&mut other), "an initiator resumes");
    // And what is saved now can be claimed.
    let sigma1 = world.sigma1();
    assert!(process.fetch());
    assert_eq!(process.reply(&sigma1), Reply::Resumed);
}

/// A replica that lags has the row as it was before the claim.
#[test]
fn a_replica_that_becomes_the_primary_grants_nothing_that_the_former_one_may_have_granted() {
    let [former, replica] = [(); 2].map(|()| RedisServer::start().unwrap());
    let redis = |server: &RedisServer, words: &[&str]| -> redis::Value {
        let address = (server.address().ip().to_string(), server.address().port());
        let mut connection = redis::Client::open(address).unwrap().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection).unwrap()
    };
    let replicate = |server: &RedisServer, primary: &RedisServer| {
        redis(server, &["REPLICAOF", "127.0.0.1", &primary.address().port().to_string()]);
        let linked = || match redis(server, &["INFO", "replication"]) {
            redis::Value::BulkString(text) => {
                String::from_utf8(text).unwrap().contains("master_link_status:up")
            }
            other => panic!("{other:?}"),
        };
        while !linked() {
            thread::sleep(Duration::from_millis(10));
        }
    };
    // The first replica of a primary begins a life of its own, so it is there before the records.
    replicate(&replica, &former);
    let (world, mut processes, sigma1) = met(&former, 1);
    let mut late = world.process(settings(replica.address(), 9));
    while !late.fetch() {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(late.reply(&sigma1), Reply::InFull, "a replica grants nothing");
    // It does not see the claim.
    redis(&replica, &["REPLICAOF", "NO", "ONE"]);
    assert_eq!(processes[1].reply(&sigma1), Reply::Resumed);
    let mut late = world.process(settings(replica.address(), 10));
    assert!(late.fetch());
    assert_eq!(late.reply(&sigma1), Reply::InFull);
    // The former primary takes the data of the new one, and becomes the primary again.
    replicate(&former, &replica);
    redis(&former, &["REPLICAOF", "NO", "ONE"]);
    let mut late = world.process(settings(former.address(), 11));
    assert!(late.fetch());
    assert_eq!(late.reply(&sigma1), Reply::InFull);
}
