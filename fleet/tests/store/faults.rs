//! A store that is gone, hangs, or sends garbage.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use fleet::redis_server::RedisServer;
use fleet::store::{Order, Settings, Store};

use crate::world::{
    CLAIM_WAIT, LIFETIME, Reply, World, beat, device, find, load, record, save, settings,
};

/// A server that does this with each connection.
fn server(serve: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads and says this whenever something came.
fn says(words: &'static [u8]) -> impl Fn(TcpStream) + Send + Clone + 'static {
    move |mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
            if stream.write_all(words).is_err() {
                return;
            }
        }
    }
}

fn impatient(address: SocketAddr) -> Settings {
    Settings { timeout: Duration::from_millis(50), ..settings(address, 1) }
}

/// Servers that are none, each with what it does.
fn faulty() -> Vec<(&'static str, SocketAddr)> {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    vec![
        ("is gone", nobody),
        ("closes", server(drop)),
        ("hangs", server(|stream| drop((thread::park(), stream)))),
        ("sends noise", server(says(&[0, 255, 13, 10, 7]))),
        ("sends text", server(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
        ("sends errors", server(says(b"-LOADING Redis is loading\r\n"))),
        ("sends half an answer", server(says(b"$100\r\nab"))),
        ("sends a length that no memory has", server(says(b"$9223372036854775807\r\n"))),
        ("sends many arrays", server(says(b"*1000000\r\n*1000000\r\n"))),
        ("sends a negative length", server(says(b"*-7\r\n$-9\r\n"))),
        ("agrees with all", server(says(b"+OK\r\n+OK\r\n+OK\r\n"))),
    ]
}

#[test]
fn every_order_is_answered_with_nothing_whatever_the_server_does() {
    for (what, address) in faulty() {
        let mut store = Store::start(impatient(address), || {});
        for round in 0..3 {
            let kept = record(7, 1);
            save(&mut store, &kept, LIFETIME);
            assert_eq!(load(&mut store, device()), None, "a server that {what}, round {round}");
            assert_eq!(find(&mut store, kept.id), None, "a server that {what}, round {round}");
            assert_eq!(beat(&mut store), None, "a server that {what}, round {round}");
        }
    }
}

#[test]
fn a_claim_on_a_store_that_fails_is_refused() {
    let redis = RedisServer::start().unwrap();
    let mut world = World::new();
    let mut first = world.process(settings(redis.address(), 0));
    world.meet(&mut first);
    let sigma1 = world.sigma1();
    for (what, address) in faulty() {
        let mut process = world.process(impatient(address));
        let record = load(&mut first.store, device()).unwrap();
        process.node.with(|manager, cx| manager.records_mut().restore(cx, record)).unwrap();
        assert_eq!(process.reply(&sigma1), Reply::InFull, "a server that {what}");
    }
    assert_eq!(first.reply(&sigma1), Reply::Resumed, "nobody else has claimed it");
}

/// Servers that would hold up for an hour, or for ever, whoever waits for them.
#[test]
fn a_manager_serves_on_while_the_store_hangs() {
    let redis = RedisServer::start().unwrap();
    let hanging = server(|stream| drop((thread::park(), stream)));
    let endless = server(|mut stream| {
        while stream.write_all(b"$").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut world = World::new();
    let mut first = world.process(settings(redis.address(), 0));
    world.meet(&mut first);
    for address in [hanging, endless] {
        let patient = Settings { timeout: Duration::from_secs(3600), ..settings(address, 1) };
        let mut process = world.process(patient);
        let record = load(&mut first.store, device()).unwrap();
        process.node.with(|manager, cx| manager.records_mut().restore(cx, record)).unwrap();
        let sigma1 = world.sigma1();
        assert_eq!(process.begin(&sigma1), Reply::Waits);
        assert!(process.store.poll_answer().is_none());
        assert_eq!(process.proceed(), Reply::Waits);
        process.node.now = process.node.now + CLAIM_WAIT;
        assert_eq!(process.proceed(), Reply::InFull, "the wait for the claim is over");
    }
}

#[test]
fn orders_beyond_what_may_wait_are_answered_at_once() {
    let hanging = server(|stream| drop((thread::park(), stream)));
    let patient = Settings { timeout: Duration::from_secs(3600), ..settings(hanging, 1) };
    let mut store = Store::start(patient, || {});
    let orders = 20_000;
    for _ in 0..orders {
        store.order(Order::Load(device()));
    }
    let mut answered = 0;
    while store.poll_answer().is_some() {
        answered += 1;
    }
    assert!((orders / 2..orders).contains(&answered), "{answered}");
}

#[test]
fn a_store_that_comes_back_is_used_again() {
    let mut redis = RedisServer::start().unwrap();
    let mut store = Store::start(impatient(redis.address()), || {});
    let kept = record(7, 1);
    let peer = crate::world::peer_of(&kept);
    save(&mut store, &kept, LIFETIME);
    assert!(beat(&mut store).is_some());
    redis.kill();
    assert_eq!(load(&mut store, peer), None);
    redis.restart().unwrap();
    while beat(&mut store).is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(load(&mut store, peer), Some(kept), "what was written is there");
}
