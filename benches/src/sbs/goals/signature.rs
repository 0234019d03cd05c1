//! The event signature, beside one HMAC of a prepared key over the same bytes in one piece.

use std::hint::black_box;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::signing::{self, SECRET};
use bench_harness::{Limit, Run};

pub(super) fn sign(run: &mut Run) {
    let key = signing::key();
    let body = vec![b'x'; 1024];
    let message = signing::message(&body);
    let whole = signing::in_one_piece(&message);
    let kept = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    let [ours, peer] = run.medians([
        run.computing(|| {
            black_box(key.sign(black_box(&message)));
        }),
        run.computing(|| {
            let mut mac = kept.clone();
            mac.update(black_box(&whole));
            black_box(mac.finalize().into_bytes());
        }),
    ]);
    run.row(
        "signature of 1 KB, `hmac` with a kept key in one piece",
        "ns",
        (ours, peer),
        Limit::AtMost(1.15),
    );
}
