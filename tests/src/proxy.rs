//! A bad line: stands between an engine and its coordinator, and does to each request what a network may do.
//!
//! It understands as much of HTTP as it takes to repeat a whole request. Deliberately absent: reordering within a
//! connection, which TCP rules out; requests on different connections overtake each other here as they do outside.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest head of a request.
const HEAD: usize = 64 << 10;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection breaks before the request is there.
    Cut,
    /// The request arrives, and its answer is lost.
    LoseAnswer,
    /// It arrives twice.
    Twice,
    /// It takes its time.
    Slow,
    /// The connection stands, and nothing ever comes of it.
    HalfOpen,
}

/// Decides from the request's first line.
type Weather = Box<dyn FnMut(&str) -> Fault + Send>;

#[derive(Default)]
struct State {
    weather: Option<Weather>,
    counted: BTreeMap<Fault, u32>,
    /// Connections that stand and lead nowhere.
    dead: Vec<TcpStream>,
}

/// The line.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A line to `coordinator`, in good weather.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(coordinator: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let proxy = Self { address, state: Arc::default() };
        let line = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let line = line.clone();
                // A connection that breaks is what this is for.
                thread::spawn(move || line.carry(stream, coordinator));
            }
        });
        proxy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `weather` decides, by the request's first line.
    pub fn weather(&self, weather: impl FnMut(&str) -> Fault + Send + 'static) {
        self.state().weather = Some(Box::new(weather));
    }

    /// How many requests met each fault.
    #[must_use]
    pub fn counted(&self) -> BTreeMap<Fault, u32> {
        self.state().counted.clone()
    }

    fn carry(&self, mut client: TcpStream, coordinator: SocketAddr) -> io::Result<()> {
        let request = read_request(&mut client)?;
        let first =
            String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
        let fault = {
            let mut state = self.state();
            let fault = state.weather.as_mut().map_or(Fault::None, |weather| weather(&first));
            *state.counted.entry(fault).or_default() += 1;
            fault
        };
        match fault {
            Fault::Cut => return client.shutdown(Shutdown::Both),
            Fault::HalfOpen => {
                self.state().dead.push(client);
                return Ok(());
            }
            Fault::Slow => thread::sleep(Duration::from_millis(300)),
            Fault::Twice => {
                // The second arrives while the first is being answered, or after it.
                let twin = request.clone();
                thread::spawn(move || ask(&twin, coordinator));
            }
            Fault::None | Fault::LoseAnswer => {}
        }
        let answer = ask(&request, coordinator)?;
        if fault == Fault::LoseAnswer {
            return client.shutdown(Shutdown::Both);
        }
        client.write_all(&answer)?;
        client.shutdown(Shutdown::Both)
    }
}

/// A request with its whole body, changed so that its connection ends with the answer.
fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let read = client.read(&mut piece)?;
        if read == 0 || bytes.len() > HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..read]);
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head + 4 + length.unwrap_or(0);
    while bytes.len() < whole {
        let read = client.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..read]);
    }
    bytes.splice(head..head, *b"\r\nconnection: close");
    Ok(bytes)
}

fn ask(request: &[u8], coordinator: SocketAddr) -> io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(coordinator)?;
    upstream.write_all(request)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    Ok(answer)
}
