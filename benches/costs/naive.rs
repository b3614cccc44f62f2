//! SPAKE2+ as it stands in the specification, a multiplication for each that is written there:
//! what the crate's is compared with.

use p256::elliptic_curve::Group;
use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::{ProjectivePoint, Scalar, Sec1Point};

use matter_session::crypto::{PublicKey, Secret, spake2p};
use p256::elliptic_curve::ff::PrimeField;

/// The prover's share, and its secrets from the verifier's.
pub(crate) fn prover(
    [x, w0, w1]: [&Secret<32>; 3],
    y_share: &PublicKey,
) -> (Sec1Point, [Sec1Point; 2]) {
    let [x, w0, w1] = [x, w0, w1].map(scalar);
    let (m, n) = (point(&spake2p::M), point(&spake2p::N));
    let share = ProjectivePoint::mul_by_generator(&x) + m * w0;
    let unblinded = point(y_share) - n * w0;
    (written(share), [written(unblinded * x), written(unblinded * w1)])
}

/// The verifier's share and secrets from the prover's share.
pub(crate) fn verifier(
    [y, w0]: [&Secret<32>; 2],
    l: &PublicKey,
    x_share: &PublicKey,
) -> (Sec1Point, [Sec1Point; 2]) {
    let [y, w0] = [y, w0].map(scalar);
    let (m, n) = (point(&spake2p::M), point(&spake2p::N));
    let share = ProjectivePoint::mul_by_generator(&y) + n * w0;
    let z = (point(x_share) - m * w0) * y;
    (written(share), [written(z), written(point(l) * y)])
}

fn scalar(octets: &Secret<32>) -> Scalar {
    Scalar::from_repr((*octets.as_bytes()).into()).unwrap()
}

fn point(octets: &PublicKey) -> ProjectivePoint {
    let point = Sec1Point::from_bytes(octets.as_bytes()).unwrap();
    ProjectivePoint::from_sec1_point(&point).unwrap()
}

fn written(point: ProjectivePoint) -> Sec1Point {
    point.to_affine().to_sec1_point(false)
}
