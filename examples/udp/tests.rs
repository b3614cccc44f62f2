use core::net::Ipv4Addr;
use core::time::Duration;
use std::net::UdpSocket;

use mio::{Events, Poll, Token};

use crate::udp::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn bind(poll: &Poll) -> Socket {
    Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), poll, Token(0)).unwrap()
}

/// Lengths that can share a call, and others that cannot; more than an outbox holds.
fn lengths() -> impl Iterator<Item = usize> {
    (0..200).map(|n| [64, 64, 1280, 1, 500][n % 5])
}

#[test]
fn every_datagram_that_is_pushed_arrives_as_it_was() {
    let poll = Poll::new().unwrap();
    let (socket, mut outbox) = (bind(&poll), Outbox::new());
    let peers = [(); 3].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    for (n, len) in lengths().enumerate() {
        let to = peers[n % 3].local_addr().unwrap();
        outbox.push(&socket, to, &vec![n as u8; len]);
    }
    outbox.flush(&socket);
    for (first, peer) in peers.iter().enumerate() {
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut sent: Vec<_> = lengths().enumerate().filter(|(n, _)| n % 3 == first).collect();
        while !sent.is_empty() {
            let mut buffer = [0; 2000];
            let (len, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!(from, socket.local_addr().unwrap());
            let n = usize::from(buffer[0]);
            assert!(buffer[..len].iter().all(|byte| usize::from(*byte) == n));
            let at = sent.iter().position(|datagram| *datagram == (n, len));
            // Less than a replay window has places.
            assert!(at.expect("a datagram that was not sent, or was sent before") < 32);
            sent.remove(at.unwrap());
        }
    }
}

#[test]
fn every_datagram_that_arrives_is_read_once_with_its_sender() {
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(1));
    let (from, to) = (bind(&Poll::new().unwrap()), bind(&poll));
    let (mut inbox, mut outbox) = (Inbox::new(&to), Outbox::new());
    for (n, len) in lengths().enumerate() {
        outbox.push(&from, to.local_addr().unwrap(), &vec![n as u8; len]);
    }
    outbox.flush(&from);
    let mut read = Vec::new();
    while read.len() < lengths().count() {
        if !to.read(&mut inbox).unwrap() {
            poll.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(!events.is_empty(), "{} datagrams only", read.len());
        }
        for (sender, datagram) in inbox.datagrams() {
            assert_eq!(sender, from.local_addr().unwrap());
            read.push((usize::from(datagram[0]), datagram.len()));
        }
    }
    read.sort_unstable();
    assert!(read.into_iter().eq(lengths().enumerate()));
    assert!(!to.read(&mut inbox).unwrap());
    assert_eq!(inbox.datagrams().count(), 0);
}
