//! Known answers, each with its source.
//!
//! All were computed once more with OpenSSL when they were written down, but for the SPAKE2+ ones,
//! which the tests of this repository compare with matter.js and with recorded traffic.

/// The text of `SHA_LONG`.
pub(super) const SHA_LONG_TEXT: &[u8] = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
/// A message of a session, by matter.js: its key.
pub(super) const CCM_KEY: [u8; 16] = hex("5eded244e5532b3cdc23409dbad052d2");
/// Its nonce.
pub(super) const CCM_NONCE: [u8; 13] = hex("00f1ffc0000000000000000000");
/// Its header.
pub(super) const CCM_AAD: [u8; 8] = hex("00022000f1ffc000");
/// Its payload.
pub(super) const CCM_TEXT: [u8; 70] = hex("\
    0502efbe010020b407de06927c25201107c670ab31b57a91c83994b3af342280543be7d3cbd2f764de950964\
    a3edeb7a4eefbf582e04e47cd69bfae540f48a520dfad04f2c09");
/// Its payload, encrypted.
pub(super) const CCM_SEALED: [u8; 70] = hex("\
    6a4a07e098b2d7d734265fd810e5c7b8d5bdaf107bc77cf5f60d39e46e2ad82dcc8f5a4e0ec129a26ee5c58b\
    ed6c1d346f46e9c76414e6afb2fa79d9d1d3d94cf8197d0e8dbb");
/// Its integrity code.
pub(super) const CCM_MIC: [u8; 16] = hex("cd24b17c3e1dbbff8af39529ace47bec");
/// A message to a group, by matter.js, shorter than a block: its key.
pub(super) const SHORT_KEY: [u8; 16] = hex("e5acb0cdd4ca3079afecf2745b0ffc2e");
/// Its nonce.
pub(super) const SHORT_NONCE: [u8; 13] = hex("0178563412efcdab8967452301");
/// Its header.
pub(super) const SHORT_AAD: [u8; 18] = hex("0622a30178563412efcdab89674523010201");
/// Its payload.
pub(super) const SHORT_TEXT: [u8; 6] = hex("0108efbe0100");
/// Its payload, encrypted.
pub(super) const SHORT_SEALED: [u8; 6] = hex("b6b5e5c69dfb");
/// Its integrity code.
pub(super) const SHORT_MIC: [u8; 16] = hex("7c391812b14697fc3f398cb7fdb0ca6a");
/// Two whole blocks without associated data, by OpenSSL: the key.
pub(super) const ONCE_KEY: [u8; 16] = hex("101112131415161718191a1b1c1d1e1f");
/// The text.
pub(super) const ONCE_TEXT: [u8; 32] =
    hex("404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f");
/// The text, encrypted under the nonce `NCASE_Sigma2N`.
pub(super) const ONCE_SEALED: [u8; 32] =
    hex("c198452dfa7af2704601df24d7988cb734dd5ed1051462f4d41d834463a7ac9c");
/// Its integrity code.
pub(super) const ONCE_MIC: [u8; 16] = hex("1f277fe6f63b3a4c36b0203d42528014");
/// The integrity code of no text under that key and the nonce `NCASE_SigmaS1`.
pub(super) const EMPTY_MIC: [u8; 16] = hex("9a1b37d29d4bb28cee01a7e084a64ab2");
/// The session id of that message.
pub(super) const PRIVACY_SESSION: u16 = 0xa322;
/// The privacy key of that group key.
pub(super) const PRIVACY_KEY: [u8; 16] = hex("2acec17a526182517183c710e63fddb7");
/// The header of that message behind its session id and flags.
pub(super) const PRIVACY_CLEAR: [u8; 14] = hex("78563412efcdab89674523010201");
/// The same, obfuscated.
pub(super) const PRIVACY_HIDDEN: [u8; 14] = hex("7325246232129f8c1a5a5ec3e31e");
/// SHA-256 of `abc`. [FIPS 180-2, B.1]
pub(super) const SHA_ABC: [u8; 32] =
    hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// SHA-256 of `SHA_LONG_TEXT`. [FIPS 180-2, B.2]
pub(super) const SHA_LONG: [u8; 32] =
    hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
/// HMAC of test case 2 of RFC 4231.
pub(super) const HMAC_JEFE: [u8; 32] =
    hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
/// HMAC of test case 6 of RFC 4231.
pub(super) const HMAC_LONG_KEY: [u8; 32] =
    hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
/// HKDF of test case 1 of RFC 5869.
pub(super) const HKDF_1: [u8; 42] =
    hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
/// HKDF of test case 3 of RFC 5869.
pub(super) const HKDF_3: [u8; 42] =
    hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
/// PBKDF2 of RFC 7914, section 11: one iteration.
pub(super) const PBKDF2_1: [u8; 64] = hex("\
    55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b3\
    9d77ef317c71b845b1e30bd509112041d3a19783");
/// The passcode 20202021 and three iterations, by OpenSSL.
pub(super) const PBKDF2_3: [u8; 80] = hex("\
    7b92c4624a13d2a86e385d25cde1259eade4d5a75cea85ea7472e752029a00456dbe0f9f460bea43df3a8f0a\
    565844e55e3719b65a7c5138e9c5b453d71e6df75f30b64356ce648eeff2087d6d4cee05");
/// NIST CAVP, ECC CDH primitive, P-256, count 0: a private key.
pub(super) const ECDH_PRIVATE: [u8; 32] =
    hex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
/// Its public key.
pub(super) const ECDH_PUBLIC: [u8; 65] = hex("\
    04ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b23028af61281fd35e2fa70025\
    23acc85a429cb06ee6648325389f59edfce1405141");
/// The public key of the peer.
pub(super) const ECDH_PEER: [u8; 65] = hex("\
    04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287db71e509e3fd9b060ddb20\
    ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac");
/// The secret that both compute.
pub(super) const ECDH_SHARED: [u8; 32] =
    hex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
/// RFC 6979, A.2.5, P-256 with SHA-256: the public key.
pub(super) const ECDSA_KEY: [u8; 65] = hex("\
    0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9\
    e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
/// What is signed.
pub(super) const ECDSA_MESSAGE: [u8; 6] = *b"sample";
/// The signature, `r || s`.
pub(super) const ECDSA_SIGNATURE: [u8; 64] = hex("\
    efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1\
    b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
/// The generator, doubled.
pub(super) const TWO_G: [u8; 65] = hex("\
    047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9a\
    c69f7430dbba7dade63ce982299e04b79d227873d1");
/// The order of the group.
pub(super) const ORDER: [u8; 32] =
    hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
/// PASE with the passcode 20202021, by matter.js: `w0s || w1s`.
pub(super) const SPAKE_WS: [u8; 80] = hex("\
    5129c6497fa10349116874a9485c4edab8a6687eadc4c181513fcf4211a542a09f771120b8f58b89d5d89992\
    c2095e8fb1976aa7804b9ded5240a917b7c8523e03822f4398868edabd74a2c3fac1faef");
/// `w0`.
pub(super) const SPAKE_W0: [u8; 32] =
    hex("910977f177918548cdec4628491035b5f7299c43c1e3c69a1247571cae33aa57");
/// `w1`.
pub(super) const SPAKE_W1: [u8; 32] =
    hex("73a0c935e869a5cb8a4d3fe25c97f101fa89299878d47fb01a88abb4d63f8e2d");
/// `L`.
pub(super) const SPAKE_L: [u8; 65] = hex("\
    0471ed6c80f15dd6ffeb9c3cc533b9676d818d5741a849ce6dc766d8e83241849f0da95d4eed9eae3ae51b6b\
    2869b03d528189e8402e7d9f2fca2d1c4b4a992425");
/// `x`, the secret of the prover.
pub(super) const SPAKE_X: [u8; 32] =
    hex("79998464203d013880b20143b57bb50604fa07208d11f461a405d8ed6a910952");
/// `y`, the secret of the verifier.
pub(super) const SPAKE_Y: [u8; 32] =
    hex("64206d7e04f1ef13c761608095898f3a8879225bda8c1650a1318a040d662001");
/// The share of the prover.
pub(super) const SPAKE_SHARE_X: [u8; 65] = hex("\
    0416c08bc5f312008ef8b18361aadfdb78d8fa11aa22ed8f0d3609587e918f929800acd54d06942ca142569b\
    6d0f807a5018d63e165868c8fdc5db73f7d80ad81e");
/// The share of the verifier.
pub(super) const SPAKE_SHARE_Y: [u8; 65] = hex("\
    047047b087f20f008b8021f49c3e38b88138dd0450007337222d039b3e9fc8df09d9bf5b579efeb48b7facaf\
    d9695f89c50b308dddc221e67474f82a3242690f84");
/// `Z`.
pub(super) const SPAKE_Z: [u8; 65] = hex("\
    0460742342890ced92972d2a6a28c2d461e795ac4613d6908a520e0e7487863287c96050566e58c666508049\
    f4ce3374634d10fa4263710de490a95d4dc664b4f4");
/// `V`.
pub(super) const SPAKE_V: [u8; 65] = hex("\
    0454fecaea8218ee7066d9730f690d09b307045a75b23b8016ce4b221f7c5ae7ef04a99a315caca2720ebff3\
    7f168f839c5f49d13f8028368ea5f7201506884f3f");

/// Reads hexadecimal digits at compile time.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N, "two digits a byte");
    let mut bytes = [0; N];
    let mut n = 0;
    while n < N {
        bytes[n] = value(digits[2 * n]) << 4 | value(digits[2 * n + 1]);
        n += 1;
    }
    bytes
}

const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    }
}
