#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::provisioning::lwm2m::tlv(bytes));
