//! A resumption and a command, and the other small worlds: the input says what their adversary does
//! at each step. Nodes restart with any copy of their stores.

use matter_session::manager::Heap;
use matter_session_testing::worlds::{
    Groups, HalfOpen, OneExchange, Resumption, SyncFirst, TrustFirst, Window, World,
};

/// The first octet says which world, each later one what happens next: 0 is a step of the story,
/// another value one of the adversary's acts.
pub fn restarts(data: &[u8]) {
    let Some((world, acts)) = data.split_first() else { return };
    match world {
        0 => live::<OneExchange<Heap>>(acts),
        1 => live::<Groups<Heap, TrustFirst>>(acts),
        2 => live::<Groups<Heap, SyncFirst>>(acts),
        3 => live::<HalfOpen<Heap>>(acts),
        4 => live::<Window<Heap>>(acts),
        _ => live::<Resumption<Heap, true>>(acts),
    }
}

/// Longer than any story.
const STEPS: usize = 1_000;

fn live<W: World>(acts: &[u8]) {
    let mut world = W::begin();
    let mut octets = acts.iter().take(64);
    for _ in 0..STEPS {
        let octet = octets.next().copied().unwrap_or(0);
        let acts = if octet == 0 { Vec::new() } else { world.acts() };
        let chosen =
            usize::from(octet).checked_sub(1).and_then(|n| acts.get(n % acts.len().max(1)));
        let Some(act) = chosen.copied().or_else(|| world.next()) else { break };
        world.act(act);
        assert_eq!(world.fault(), None);
    }
    world.end();
    assert_eq!(world.fault(), None);
}
