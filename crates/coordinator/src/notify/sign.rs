//! Signatures, as the Standard Webhooks specification has them: HMAC-SHA256 over id, moment and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a secret begins with that is written in base64.
const PREFIX: &str = "whsec_";

/// The bytes of a secret as it is written: in base64 behind `whsec_`, else as they stand.
pub(super) fn secret(text: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = match text.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is no base64")?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.is_empty() { Err("it is empty") } else { Ok(bytes) }
}

/// The signature of a message that is sent at `seconds` since 1970.
pub(super) fn signature(secret: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_others_verify() {
        let check = |written: &str, body: &str, expected: &str| {
            let secret = secret(written).unwrap();
            assert_eq!(
                signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body.as_bytes()),
                expected
            );
        };
        // Computed with Python's hmac.
        check(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "{\"test\": 2432232314}",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        check("a plain one", "", "v1,SqnH+atfyEvLFQdsvCF7ORFzQ3KJlGOoHWW1vtgHOnY=");
        assert!(secret("whsec_!").is_err() && secret("").is_err() && secret("whsec_").is_err());
    }
}
