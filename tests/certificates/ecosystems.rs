//! Certificates in the shapes of real ecosystems, with keys of our own: installed, and used in a
//! handshake in which each of two nodes sees those of the other.

use matter_session::fabric::{FabricBuf, FabricError};
use matter_session_testing::draft::{Draft, Household, Place, number, printable};
use matter_session_testing::net::{Net, index};

use super::*;

/// Installs the certificates on two nodes at this time and connects the nodes.
fn connect(household: &Household, epoch: Option<u32>) -> Result<(), String> {
    let mut net = Net::pair();
    for n in [0, 1] {
        net.node(n).epoch = epoch;
        let added = net.node(n).manager.fabrics_mut().add(&household.credentials(n + 1));
        added.map_err(|error| error.to_string())?;
        net.node(n).keys.insert(index(1), household.key(n + 1));
    }
    net.dial_case(0, 1, 1, 2);
    net.settle();
    match (net.node(0).failures()[..].first(), net.node(1).failures()[..].first()) {
        (None, None) => {
            assert_eq!(net.node(1).manager.sessions().len(), 1);
            Ok(())
        }
        failures => Err(format!("{failures:?}")),
    }
}

/// A certificate of every place gets this change, alone and together with the others.
fn in_each_place(change: impl Fn(&mut Draft)) {
    for with_icac in [false, true] {
        for changed in [
            &[Place::Root][..],
            &[Place::Icac],
            &[Place::Noc],
            &[Place::Root, Place::Icac, Place::Noc],
        ] {
            let household = Household::new(with_icac, |place, draft| {
                if changed.contains(&place) {
                    change(draft);
                }
            });
            assert_eq!(connect(&household, None), Ok(()), "{changed:?} {with_icac}");
        }
    }
}

fn of_nodes(change: impl Fn(&mut Draft)) -> Household {
    Household::new(true, |place, draft| {
        if place == Place::Noc {
            change(draft);
        }
    })
}

const DAY: u32 = 24 * 3600;

#[test]
fn drafts_as_they_should_be_make_a_fabric() {
    in_each_place(|_| {});
}

#[test]
fn a_serial_number_of_21_bytes_is_accepted_in_every_certificate() {
    in_each_place(|draft| draft.serial = [&[0, 0x9A][..], &[0x42; 19]].concat());
    // The zero is needless, so stacks make different X.509 forms of it.
    in_each_place(|draft| draft.serial = [&[0, 0x1A][..], &[0x42; 19]].concat());
}

#[test]
fn a_serial_number_of_17_bytes_and_extensions_in_another_order_are_accepted() {
    in_each_place(|draft| {
        draft.serial = vec![0x17; 17];
        draft.extensions.reverse();
    });
}

#[test]
fn a_node_key_that_may_encipher_keys_as_well_is_accepted() {
    let household = of_nodes(|noc| noc.extension(2, &[0x24, 2, 5]));
    assert_eq!(connect(&household, None), Ok(()));
}

#[test]
fn texts_as_printable_strings_are_accepted() {
    in_each_place(|draft| {
        draft.subject.extend(printable(4, "US"));
        draft.subject.extend(printable(1, "Matter Root"));
    });
}

#[test]
fn a_noc_of_275_days_serves_for_them_and_longer_where_no_clock_is_trusted() {
    let household = of_nodes(|noc| noc.not_after = noc.not_before + 275 * DAY);
    assert_eq!(connect(&household, None), Ok(()));
    assert_eq!(connect(&household, Some(1000 + 274 * DAY)), Ok(()));
    let refused = connect(&household, Some(1000 + 276 * DAY)).unwrap_err();
    assert!(refused.contains("Expired"), "{refused}");
    let late = WallClock::LastKnownGood(MatterTime::from_seconds(1000 + 276 * DAY));
    assert_eq!(verified(&household, late).map(|_| ()), Ok(()));
}

#[test]
fn a_root_that_has_expired_serves_on() {
    for end in [Some(2000), None] {
        let household = Household::new(true, |place, draft| match place {
            Place::Root => draft.not_after = 1000 + 365 * DAY,
            _ => draft.not_after = end.map_or(0, |_| 1000 + 730 * DAY),
        });
        assert_eq!(connect(&household, Some(1000 + 366 * DAY)), Ok(()));
    }
}

fn verified(household: &Household, clock: WallClock) -> Result<ChainVerified, ChainError> {
    let credentials = household.credentials(1);
    Chain::of(credentials.noc, credentials.icac, credentials.root).verify(&ChainPolicy::new(clock))
}

fn install(credentials: &matter_session::FabricCredentials<'_>) -> Result<FabricBuf, FabricError> {
    FabricBuf::new(&BACKEND, index(1), credentials)
}

#[test]
fn an_empty_icac_installs_as_none() {
    let household = Household::new(false, |_, _| {});
    let mut credentials = household.credentials(1);
    credentials.icac = Some(&[]);
    let fabric = install(&credentials).unwrap();
    assert_eq!(fabric.view().icac(), None);
    let mut net = Net::pair();
    assert!(net.node(0).manager.fabrics_mut().add(&credentials).is_ok());
}

/// The peer may be strict, so a node does not send along what it does not need.
#[test]
fn an_icac_that_did_not_issue_the_noc_is_not_kept() {
    let household = Household::with_unused_icac(|_, _| {});
    assert_eq!(connect(&household, None), Ok(()));
    let fabric = install(&household.credentials(1)).unwrap();
    assert_eq!(fabric.view().icac(), None);
    assert_eq!(fabric.view().noc(), household.credentials(1).noc);
}

#[test]
fn own_keys_beside_the_curve_are_refused_in_every_certificate() {
    for with_icac in [false, true] {
        for spoilt in [Place::Root, Place::Icac, Place::Noc] {
            let household = Household::new(with_icac, |place, draft| {
                if place == spoilt {
                    draft.public_key[64] ^= 1;
                }
            });
            let fits = install(&household.credentials(1)).is_ok();
            assert_eq!(fits, !with_icac && spoilt == Place::Icac, "{spoilt:?}");
        }
    }
    let household = of_nodes(|noc| noc.public_key[64] ^= 1);
    let mut net = Net::pair();
    assert!(net.node(0).manager.fabrics_mut().add(&household.credentials(1)).is_err());
}

/// What authentication depends on is refused as ever.
#[test]
fn what_trust_depends_on_is_refused() {
    let other = Household::seeded(8, true, false, |_, _| {});
    let good = Household::new(true, |_, _| {});
    let mut credentials = good.credentials(1);
    credentials.noc = other.credentials(1).noc;
    assert!(install(&credentials).is_err(), "a noc of another authority");
    let mut credentials = good.credentials(1);
    credentials.icac = other.credentials(1).icac;
    assert!(install(&credentials).is_err(), "another authority");
    let refused: [fn(Place, &mut Draft); 7] = [
        |place, draft| {
            if place == Place::Icac {
                draft.extension(1, &[0x35, 1, 0x28, 1, 0x18])
            }
        },
        |place, draft| {
            if place == Place::Icac {
                draft.extension(2, &[0x24, 2, 1])
            }
        },
        |place, draft| {
            if place == Place::Icac {
                draft.subject.extend(number(21, 8))
            }
        },
        |place, draft| {
            if place == Place::Noc {
                draft.extension(2, &[0x24, 2, 4])
            }
        },
        |place, draft| {
            if place == Place::Noc {
                draft.extension(3, &[0x36, 3, 4, 3, 0x18])
            }
        },
        |place, draft| {
            if place == Place::Noc {
                draft.extension(6, &future(&[0x55, 29, 17], Some(0xFF)))
            }
        },
        |place, draft| {
            if place == Place::Root {
                draft.extension(1, &[0x35, 1, 0x29, 1, 0x24, 2, 0, 0x18])
            }
        },
    ];
    for (n, change) in refused.into_iter().enumerate() {
        let household = Household::new(true, change);
        assert!(install(&household.credentials(1)).is_err(), "{n}");
    }
}

/// A forged intermediate authority that the chain does not need gives nobody anything.
#[test]
fn an_unused_icac_must_be_one_of_the_fabric() {
    let household = Household::with_unused_icac(|place, draft| {
        if place == Place::Icac {
            draft.subject.extend(number(21, 8));
        }
    });
    assert!(install(&household.credentials(1)).is_err(), "of another fabric");
    let household = Household::with_unused_icac(|_, _| {});
    for other in [household.credentials(1).root, household.credentials(2).noc, &[0x15, 0x18]] {
        let mut credentials = household.credentials(1);
        credentials.icac = Some(other);
        assert!(install(&credentials).is_err());
    }
}

#[test]
fn other_encodings_of_a_certificate_are_recognised_and_said() {
    let household = Household::new(true, |_, _| {});
    let good = household.credentials(1);
    let der = x509(&Certificate::parse(good.noc).unwrap());
    let long_der = [&[0x30, 0x82, 2, 0][..], &[7; 512]].concat();
    let pem = b"-----BEGIN CERTIFICATE-----\nMIIBnTCC\n-----END CERTIFICATE-----\n".to_vec();
    let long_pem = [&b"\r\n-----BEGIN CERTIFICATE-----\n"[..], &[b'A'; 700]].concat();
    let base64 = b"FTABCAEjRWeJq83vJAIB".to_vec();
    for (given, word) in
        [(der, "DER"), (long_der, "DER"), (pem, "PEM"), (long_pem, "PEM"), (base64, "Base64")]
    {
        let said = Certificate::parse(&given).unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("Matter TLV"), "{said}");
        if given.len() > MAX_CERT_LEN {
            let said = CertificateBuf::try_from(&given[..]).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
        for place in 0..3 {
            let mut credentials = good;
            match place {
                0 => credentials.root = &given,
                1 => credentials.icac = Some(&given),
                _ => credentials.noc = &given,
            }
            let said = install(&credentials).unwrap_err().to_string();
            assert!(said.contains(word) && said.contains(["RCAC", "ICAC", "NOC"][place]), "{said}");
        }
    }
    let said = Certificate::parse(&[0x15, 0x18]).unwrap_err().to_string();
    assert!(!said.contains("DER") && !said.contains("PEM"), "{said}");
}
