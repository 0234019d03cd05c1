//! The client-side cloud of the OCF Universal Cloud Interface as a sans-IO core: calls, subscriptions, notification receiver, mirror.
