//! Ports for the servers of a test, which nobody else takes while the test lives.
//!
//! A port that the system gave away once (`bind` to port 0) and that was closed again may be given to anybody: to another
//! test, or to an outgoing connection, while its server starts or is down. These lie outside the range from which the
//! system gives, and the UDP port of the same number, which nobody uses, is held to keep other tests away.

use std::io::ErrorKind::ConnectionRefused;
use std::net::{TcpStream, UdpSocket};

/// Below what Linux gives to outgoing connections (`net.ipv4.ip_local_port_range` begins at 32768), above known services.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// A port of 127.0.0.1 at which nobody listens. It is ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: UdpSocket,
}

impl Port {
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn free() -> Self {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("there is randomness");
        let start = u16::from_le_bytes(random) % (RANGE.end - RANGE.start);
        let all = RANGE.len() as u16;
        let mut ports = (0..all).map(|n| RANGE.start + (start + n) % all);
        ports.find_map(Self::take).expect("one of thousands of ports is free")
    }

    /// `None` when another test has it, or when somebody listens there.
    fn take(number: u16) -> Option<Self> {
        let held = UdpSocket::bind(("127.0.0.1", number)).ok()?;
        // Asked, not tried: a process that another thread starts in this moment would hold a listener of ours for a while.
        let refused = TcpStream::connect(("127.0.0.1", number)).is_err_and(|error| error.kind() == ConnectionRefused);
        refused.then_some(Self { number, _held: held })
    }

    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_port_is_given_once_and_again_when_it_is_free() {
        let port = Port::free();
        assert!(RANGE.contains(&port.number()));
        assert!(Port::take(port.number()).is_none(), "another test may not have it");
        let number = port.number();
        let server = TcpListener::bind(("127.0.0.1", number)).expect("nobody listens there");
        drop(port);
        assert!(Port::take(number).is_none(), "somebody listens there");
        drop(server);
        // A process that another test starts in this moment holds what is closed here until it is another program.
        let begun = Instant::now();
        while Port::take(number).is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is free");
            std::thread::yield_now();
        }
    }
}
