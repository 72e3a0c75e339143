//! A coordinator's door and the ways to it: a server that knows only its manifest, with TLS by a certificate authority of
//! the tests, and a proxy that counts what passes.
//!
//! Deliberately absent: work. What is tested with these is whether anything gets there.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A name that no system resolves: whoever gets there came through a proxy.
pub const NOWHERE: &str = "coordinator.test";

/// First lines of the requests that came.
type Seen = Arc<Mutex<Vec<String>>>;

/// Where something listens, and what came there.
#[derive(Debug, Clone)]
pub struct Door {
    pub address: SocketAddr,
    seen: Seen,
}

impl Door {
    fn listen(serve: impl Fn(TcpStream, &Seen) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let door = Self { address: listener.local_addr().expect("it is bound"), seen: Arc::default() };
        let (seen, serve) = (Arc::clone(&door.seen), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, serve) = (Arc::clone(&seen), Arc::clone(&serve));
                thread::spawn(move || serve(stream, &seen));
            }
        });
        door
    }

    /// How many requests came whose first line has `part`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| line.contains(part)).count()
    }
}

/// A coordinator that has `manifest` and nothing else.
#[must_use]
pub fn coordinator(manifest: &(impl Fn(SocketAddr) -> String + Send + Sync + Clone + 'static)) -> Door {
    let manifest = manifest.clone();
    Door::listen(move |mut stream, seen| {
        let text = stream.local_addr().map(&manifest).unwrap_or_default();
        // A client that goes is no concern of the server's.
        let _ = answer(&mut stream, &text, seen);
    })
}

/// The same behind TLS, with a certificate that `authority` gave.
///
/// # Panics
/// When the certificate can't be used.
#[must_use]
pub fn secure_coordinator(
    manifest: &(impl Fn(SocketAddr) -> String + Send + Sync + Clone + 'static),
    authority: &Authority,
) -> Door {
    let (manifest, config) = (manifest.clone(), authority.server());
    Door::listen(move |stream, seen| {
        let text = stream.local_addr().map(&manifest).unwrap_or_default();
        let connection = ServerConnection::new(Arc::clone(&config)).expect("the certificate can be used");
        let mut stream = StreamOwned::new(connection, stream);
        let _ = answer(&mut stream, &text, seen);
    })
}

/// A certificate authority that nobody trusts.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its certificate, as a file would hold it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn server(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned(), NOWHERE.to_owned()];
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer);
        let certificate = CertificateDer::from(certificate.expect("a certificate").der().to_vec());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key);
        Arc::new(config.expect("a key for its certificate"))
    }
}

/// A proxy that leads every name to `server`, plain requests and tunnels alike, and counts them.
#[must_use]
pub fn proxy(server: SocketAddr) -> Door {
    Door::listen(move |stream, seen| {
        let _ = pass(stream, server, seen);
    })
}

/// A proxy that leads nowhere, and says so by `status`.
#[must_use]
pub fn closed_proxy(status: &'static str) -> Door {
    Door::listen(move |mut stream, seen| {
        let _ = head(&mut stream, seen);
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    })
}

fn pass(mut client: TcpStream, server: SocketAddr, seen: &Seen) -> io::Result<()> {
    let head = head(&mut client, seen)?;
    let mut server = TcpStream::connect(server)?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        // The request to a proxy names the whole URL.
        let (method, rest) = head.split_once(' ').unwrap_or_default();
        let path = rest.strip_prefix("http://").and_then(|url| Some(&url[url.find('/')?..])).unwrap_or(rest);
        write!(server, "{method} {path}")?;
    }
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// Everything up to the empty line, its first line noted.
fn head(stream: &mut impl Read, seen: &Seen) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.lines().next().unwrap_or_default().to_owned());
    Ok(head)
}

fn answer(stream: &mut (impl Read + Write), manifest: &str, seen: &Seen) -> io::Result<()> {
    let head = head(stream, seen)?;
    let (status, body) = match head.starts_with("GET /v1/network ") {
        true => ("200 OK", manifest),
        false => ("404 Not Found", r#"{"code":"not_here","message":"this door knows only its manifest"}"#),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n")?;
    write!(stream, "connection: close\r\n\r\n{body}")?;
    stream.flush()
}
