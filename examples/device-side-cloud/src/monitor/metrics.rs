//! The figures of this program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coap_psk::dtls::Handshakes;
use http::StatusCode;

use super::family::{Counters, Histograms, Label, write_counted, write_gauge};
use crate::clock;

/// Everything that is counted. Labels are words of this program, so that no person and no device shows up in a scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Counters<3>,
    request_seconds: Histograms<1>,
    deliveries: Counters<1>,
    delivery_seconds: Histograms<0>,
    deliveries_under_way: AtomicUsize,
    append_seconds: Histograms<1>,
    appends_under_way: AtomicUsize,
    devices_online: AtomicUsize,
    identities: Counters<1>,
    handshakes: Mutex<Handshakes>,
    subscriptions_ended: Counters<1>,
    certificate_reloads: Counters<1>,
    mqtt_connections: Counters<1>,
    bootstrap_seconds: Histograms<1>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Counters::new(
                "device_cloud_requests_total",
                "HTTPS requests that were answered.",
                ["route", "method", "status"],
            ),
            request_seconds: Histograms::new(
                "device_cloud_request_seconds",
                "Time from a whole request to its answer.",
                ["route"],
            ),
            deliveries: Counters::new(
                "device_cloud_deliveries_total",
                "Attempts to deliver a notification.",
                ["outcome"],
            ),
            delivery_seconds: Histograms::new(
                "device_cloud_delivery_seconds",
                "Time that an attempt to deliver took.",
                [],
            ),
            deliveries_under_way: AtomicUsize::new(0),
            append_seconds: Histograms::new(
                "device_cloud_append_seconds",
                "Time until the journal answered an append.",
                ["outcome"],
            ),
            appends_under_way: AtomicUsize::new(0),
            devices_online: AtomicUsize::new(0),
            identities: Counters::new(
                "device_cloud_dtls_identities_total",
                "Identities that peers named in DTLS handshakes.",
                ["outcome"],
            ),
            handshakes: Mutex::default(),
            subscriptions_ended: Counters::new(
                "device_cloud_subscriptions_ended_total",
                "Subscriptions that ended.",
                ["cause"],
            ),
            certificate_reloads: Counters::new(
                "device_cloud_certificate_reloads_total",
                "Times that changed certificate files were read.",
                ["outcome"],
            ),
            mqtt_connections: Counters::new(
                "device_cloud_mqtt_connections_total",
                "Connections to the MQTT door that ended.",
                ["cause"],
            ),
            bootstrap_seconds: Histograms::new(
                "device_cloud_mqtt_bootstrap_seconds",
                "Time from a device's request over MQTT to its answer.",
                ["outcome"],
            ),
        }
    }
}

impl Metrics {
    /// An HTTPS request was answered.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        method: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let route = Label::Word(route);
        let status = Label::Number(status.as_u16());
        self.requests.add([route, Label::Word(method), status]);
        self.request_seconds.observe([route], took);
    }

    /// An attempt to deliver begins; [`Delivering::ended`] says how it went.
    pub(crate) fn delivering(self: &Arc<Self>) -> Delivering {
        Delivering(Measured::begin(self, |metrics| {
            &metrics.deliveries_under_way
        }))
    }

    /// An append begins; [`Appending::ended`] says how it went.
    pub(crate) fn appending(self: &Arc<Self>) -> Appending {
        Appending(Measured::begin(self, |metrics| &metrics.appends_under_way))
    }

    /// A device came online.
    pub(crate) fn came_online(&self) {
        self.devices_online.fetch_add(1, Ordering::Relaxed);
    }

    /// A device that was online is no longer.
    pub(crate) fn went_offline(&self) {
        self.devices_online.fetch_sub(1, Ordering::Relaxed);
    }

    /// A peer named an identity in a handshake.
    pub(crate) fn identity(&self, known: bool) {
        let outcome = if known { "known" } else { "unknown" };
        self.identities.add([Label::Word(outcome)]);
    }

    /// A DTLS engine, of which there may be several, counted on: from these to those.
    pub(crate) fn handshakes(&self, before: Handshakes, now: Handshakes) {
        let mut all = self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *all = all.plus(Handshakes {
            established: now.established.saturating_sub(before.established),
            failed: now.failed.saturating_sub(before.failed),
            timed_out: now.timed_out.saturating_sub(before.timed_out),
        });
    }

    /// A subscription ended.
    pub(crate) fn subscription_ended(&self, cause: &'static str) {
        self.subscriptions_ended.add([Label::Word(cause)]);
    }

    /// Certificate files were read again.
    pub(crate) fn certificate_reloaded(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "refused" };
        self.certificate_reloads.add([Label::Word(outcome)]);
    }

    /// A connection to the MQTT door ended.
    pub(crate) fn mqtt_ended(&self, cause: &'static str) {
        self.mqtt_connections.add([Label::Word(cause)]);
    }

    /// A device that asked over MQTT where it belongs was answered.
    pub(crate) fn bootstrapped(&self, outcome: &'static str, took: Duration) {
        self.bootstrap_seconds.observe([Label::Word(outcome)], took);
    }

    /// Appends all figures in the text exposition format.
    pub(crate) fn write(&self, out: &mut String, queues: &[(&'static str, usize)]) {
        self.requests.write(out);
        self.request_seconds.write(out);
        self.deliveries.write(out);
        self.delivery_seconds.write(out);
        write_gauge(
            out,
            "device_cloud_deliveries_under_way",
            "Notifications on their way to a receiver.",
            self.deliveries_under_way.load(Ordering::Relaxed),
        );
        self.append_seconds.write(out);
        write_gauge(
            out,
            "device_cloud_appends_under_way",
            "Appends that wait for the journal.",
            self.appends_under_way.load(Ordering::Relaxed),
        );
        write_gauge(
            out,
            "device_cloud_devices_online",
            "Devices that are online.",
            self.devices_online.load(Ordering::Relaxed),
        );
        self.identities.write(out);
        self.subscriptions_ended.write(out);
        self.certificate_reloads.write(out);
        self.mqtt_connections.write(out);
        self.bootstrap_seconds.write(out);
        let handshakes = *self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        write_counted(
            out,
            (
                "device_cloud_dtls_handshakes_total",
                "DTLS handshakes that ended.",
                "counter",
            ),
            "outcome",
            &[
                ("established", handshakes.established),
                ("failed", handshakes.failed),
                ("timed_out", handshakes.timed_out),
            ],
        );
        write_counted(
            out,
            (
                "device_cloud_queue_depth",
                "Messages that wait for a part of the program.",
                "gauge",
            ),
            "queue",
            queues,
        );
    }
}

/// Something under way, counted until it is dropped.
#[derive(Debug)]
struct Measured {
    metrics: Arc<Metrics>,
    under_way: fn(&Metrics) -> &AtomicUsize,
    since: Instant,
}

impl Measured {
    fn begin(metrics: &Arc<Metrics>, under_way: fn(&Metrics) -> &AtomicUsize) -> Self {
        under_way(metrics).fetch_add(1, Ordering::Relaxed);
        Self {
            metrics: Arc::clone(metrics),
            under_way,
            since: clock::now(),
        }
    }

    fn took(&self) -> Duration {
        clock::now().saturating_duration_since(self.since)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        (self.under_way)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A notification on its way.
#[derive(Debug)]
pub(crate) struct Delivering(Measured);

impl Delivering {
    /// The attempt ended with this answer, or with none.
    pub(crate) fn ended(self, status: Option<StatusCode>) {
        let outcome = match status {
            None => "no_answer",
            Some(StatusCode::GONE) => "gone",
            Some(status) if status.is_success() => "delivered",
            Some(status) if status.is_client_error() => "refused",
            Some(_) => "failed",
        };
        self.0.metrics.deliveries.add([Label::Word(outcome)]);
        self.0.metrics.delivery_seconds.observe([], self.0.took());
    }
}

/// An append on its way.
#[derive(Debug)]
pub(crate) struct Appending(Measured);

impl Appending {
    /// The journal answered; `outcome` is a word of this program.
    pub(crate) fn ended(self, outcome: &'static str) {
        let took = self.0.took();
        let family = &self.0.metrics.append_seconds;
        family.observe([Label::Word(outcome)], took);
    }
}
