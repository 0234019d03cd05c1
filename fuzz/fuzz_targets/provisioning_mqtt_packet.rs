#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mqtt_packet::packet(bytes));
