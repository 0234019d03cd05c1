//! The end of a program that serves.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the program is told to stop, by SIGTERM or from the keyboard.
pub async fn told_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
