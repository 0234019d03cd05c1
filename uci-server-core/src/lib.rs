//! The device-side cloud of the OCF Universal Cloud Interface as a sans-IO core: routing, accounts, subscriptions, signed notifications.
