//! What each tolerance and each choice of validity periods does, and nothing else does.

use matter_session::fabric::FabricBuf;
use matter_session_testing::draft::{Draft, Household, Place};
use matter_session_testing::net::index;

use super::*;

fn verify(household: &Household, clock: WallClock, profile: Profile) -> Result<bool, ChainError> {
    let credentials = household.credentials(1);
    let policy = ChainPolicy::new(clock).with_profile(profile);
    let chain = Chain::of(credentials.noc, credentials.icac, credentials.root);
    chain.verify(&policy).map(|verified| verified.uses_icac())
}

fn household(change: impl Fn(Place, &mut Draft)) -> Household {
    Household::new(true, change)
}

/// Certificates that need one tolerance, and the fault without it.
fn deviations() -> Vec<(Tolerance, Household, Position, ChainFault)> {
    use Position::{Icac, Noc, Rcac};
    use Tolerance::*;
    let of = |wanted: Place, change: fn(&mut Draft)| {
        household(move |place, draft| {
            if place == wanted {
                change(draft);
            }
        })
    };
    let noc = |change| of(Place::Noc, change);
    let server_alone = noc(|noc| noc.extension(3, &[0x36, 3, 4, 1, 0x18]));
    let more_purposes = noc(|noc| noc.extension(3, &[0x36, 3, 4, 2, 4, 1, 4, 3, 0x18]));
    let authority = noc(|noc| noc.extension(1, &[0x35, 1, 0x29, 1, 0x18]));
    let without_crl = of(Place::Icac, |icac| icac.extension(2, &[0x24, 2, 0x20]));
    let purposes = of(Place::Icac, |icac| icac.extension(3, &[0x36, 3, 4, 1, 0x18]));
    vec![
        (LongSerialNumber, noc(|noc| noc.serial = vec![1; 21]), Noc, ChainFault::SerialNumber),
        (
            LongSerialNumber,
            of(Place::Root, |root| root.serial = vec![1; 21]),
            Rcac,
            ChainFault::SerialNumber,
        ),
        (NocKeyUsage, noc(|noc| noc.extension(2, &[0x24, 2, 5])), Noc, ChainFault::KeyUsage),
        (NocPurposes, more_purposes, Noc, ChainFault::ExtendedKeyUsage),
        (NocConstraints, authority, Noc, ChainFault::BasicConstraints),
        (NocConstraints, noc(|noc| noc.extension(1, &[])), Noc, ChainFault::BasicConstraints),
        (AuthorityUsage, without_crl, Icac, ChainFault::KeyUsage),
        (AuthorityUsage, purposes, Icac, ChainFault::ExtendedKeyUsage),
        (UnusedIcac, Household::with_unused_icac(|_, _| {}), Noc, ChainFault::Issuer),
        (ServerAuthAlone, server_alone, Noc, ChainFault::ExtendedKeyUsage),
    ]
}

#[test]
fn each_tolerance_accepts_its_deviation_and_no_other_does() {
    let all_but = |tolerance| lenient().refusing(tolerance);
    for (tolerance, household, position, fault) in deviations() {
        let verify = |profile| verify(&household, WallClock::Unknown, profile);
        let uses_icac = tolerance != Tolerance::UnusedIcac;
        assert_eq!(verify(Profile::STRICT.tolerating(tolerance)), Ok(uses_icac), "{tolerance:?}");
        assert_eq!(verify(lenient()), Ok(uses_icac), "{tolerance:?}");
        let refused = Err(ChainError { position, fault });
        assert_eq!(verify(Profile::STRICT), refused, "{tolerance:?}");
        assert_eq!(verify(all_but(tolerance)), refused, "{tolerance:?}");
        let by_default = verify(Profile::default());
        assert_eq!(by_default.is_ok(), tolerance != Tolerance::ServerAuthAlone, "{tolerance:?}");
    }
}

/// An installed root is trusted because it was installed, but no other is installed.
#[test]
fn a_root_that_does_not_name_itself_serves_where_that_is_tolerated_and_is_never_installed() {
    let household = Household::new(false, |_, _| {});
    let mut rcac = household.rcac.clone();
    // The issuer is another authority.
    let at = rcac.windows(4).position(|w| w == [0x37, 3, 0x24, 20]).unwrap() + 4;
    rcac[at] = 2;
    let credentials = matter_session::FabricCredentials { root: &rcac, ..household.credentials(1) };
    let root = Certificate::parse(&rcac).unwrap();
    for (profile, holds) in [
        (Profile::STRICT, false),
        (Profile::STRICT.tolerating(Tolerance::RootNames), true),
        (Profile::default(), true),
        (lenient().refusing(Tolerance::RootNames), false),
    ] {
        let chain = Chain::of(credentials.noc, None, &rcac);
        let policy = ChainPolicy::default().with_profile(profile);
        let error = chain.verify(&policy).err();
        assert_eq!(error.is_none(), holds, "{error:?}");
        let installed = verify_root(&BACKEND, &root, profile).map_err(|error| error.fault);
        assert_eq!(installed, Err(ChainFault::Issuer));
        assert!(FabricBuf::with_profile(&BACKEND, index(1), &credentials, profile).is_err());
    }
}

/// Certificates of 1000 to 2000, one of which is of 1500 to 1600 instead.
fn short(short: Place) -> Household {
    household(move |place, draft| {
        (draft.not_before, draft.not_after) =
            if place == short { (1500, 1600) } else { (1000, 2000) };
    })
}

#[test]
fn each_validity_policy_refuses_what_it_says() {
    use ValidityPolicy::{All, Ignore, NocAndIcac, NotBefore};
    use WallClock::{Known, LastKnownGood, Unknown};
    let early = MatterTime::from_seconds(1499);
    let late = MatterTime::from_seconds(1601);
    for (place, position) in
        [(Place::Noc, Position::Noc), (Place::Icac, Position::Icac), (Place::Root, Position::Rcac)]
    {
        let household = short(place);
        let is_root = place == Place::Root;
        for validity in VALIDITIES {
            // Which of the two faults this choice finds, at which clock.
            let begins = validity >= if is_root { All } else { NotBefore };
            let ends = validity >= if is_root { All } else { NocAndIcac };
            for (clock, fault) in [
                (Unknown, None),
                (Known(MatterTime::from_seconds(1500)), None),
                (Known(MatterTime::from_seconds(1600)), None),
                (Known(early), Some(ChainFault::NotYetValid).filter(|_| begins)),
                (Known(late), Some(ChainFault::Expired).filter(|_| ends)),
                (LastKnownGood(early), None),
                (LastKnownGood(late), Some(ChainFault::Expired).filter(|_| validity == All)),
            ] {
                for profile in [Profile::STRICT, Profile::default()] {
                    let verdict = verify(&household, clock, profile.with_validity(validity));
                    let expected = fault.map(|fault| ChainError { position, fault });
                    assert_eq!(verdict.err(), expected, "{validity:?} {clock:?} {place:?}");
                }
            }
        }
        let by_default = |clock| verify(&household, clock, Profile::default());
        assert_eq!(by_default(Known(late)).is_ok(), is_root);
        assert_eq!(by_default(LastKnownGood(late)), Ok(true));
    }
    assert!(Ignore < NotBefore && NotBefore < NocAndIcac && NocAndIcac < All);
    assert_eq!(ValidityPolicy::default(), NocAndIcac);
    assert_eq!(Profile::default().validity(), NocAndIcac);
    assert_eq!(Profile::STRICT.validity(), All);
}

#[test]
fn the_strict_profile_tolerates_nothing_and_the_default_all_but_one() {
    for tolerance in TOLERANCES {
        assert!(!Profile::STRICT.tolerates(tolerance));
        let by_default = tolerance != Tolerance::ServerAuthAlone;
        assert_eq!(Profile::default().tolerates(tolerance), by_default);
        assert!(Profile::STRICT.tolerating(tolerance).tolerates(tolerance));
        assert!(!lenient().refusing(tolerance).tolerates(tolerance));
    }
}
