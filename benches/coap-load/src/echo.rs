//! The load of the UDP echo: datagrams from as many addresses as there are peers, so many under way at a time.

use std::net::{Ipv4Addr, SocketAddr};

use device_fleet::Wire;
use tokio::runtime::Runtime;

use crate::peers::runtime;
use crate::process::Server;

const WINDOW: usize = 64;
/// As long as a GET in a record.
const DATAGRAM: [u8; 44] = [b'.'; 44];

pub(crate) struct Echo {
    runtime: Runtime,
    wire: Wire,
    peers: u32,
}

impl Echo {
    pub(crate) fn new(server: &Server, peers: usize) -> Self {
        let runtime = runtime();
        let wire = runtime
            .block_on(Wire::open(server.address))
            .expect("a socket");
        Self {
            runtime,
            wire,
            peers: peers as u32,
        }
    }

    /// What a datagram costs the server, in CPU microseconds.
    pub(crate) fn ask(&mut self, server: &Server, count: usize) -> f64 {
        let Self {
            runtime,
            wire,
            peers,
        } = self;
        let (first, port) = (Ipv4Addr::new(127, 1, 0, 1).to_bits(), wire.port());
        let address = |number: usize| {
            let host = Ipv4Addr::from_bits(first + number as u32 % *peers);
            SocketAddr::from((host, port))
        };
        let began = server.cpu();
        runtime.block_on(async {
            let (mut sent, mut received) = (0, 0);
            while received < count {
                while sent < count && sent - received < WINDOW {
                    wire.send(address(sent), &DATAGRAM).await;
                    sent += 1;
                }
                // No more than the window is ever in a buffer, so nothing is lost.
                wire.receive(|_, _| received += 1).await.expect("a socket");
            }
        });
        (server.cpu() - began) as f64 / 1e3 / count as f64
    }
}
