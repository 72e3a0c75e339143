//! As much of PulseAudio's native protocol as it takes to learn who records, in version 19, which every server of the
//! last fifteen years speaks. After `src/pulsecore/native-common.h` and `tagstruct.h` of PulseAudio.
//!
//! A packet is a header of five words and a list of tagged values. All numbers are big-endian.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const VERSION: u32 = 19;
/// The server knows its own user by the socket. Its cookie is for others, and is not sent.
const NO_COOKIE: [u8; 256] = [0; 256];

const ERROR: u32 = 0;
const REPLY: u32 = 2;
const AUTH: u32 = 8;
const SET_CLIENT_NAME: u32 = 9;
const GET_SOURCE_INFO: u32 = 23;
const GET_SOURCE_OUTPUT_INFO_LIST: u32 = 32;
const SUBSCRIBE: u32 = 35;
const SUBSCRIBE_EVENT: u32 = 66;

/// Streams that record.
const SOURCE_OUTPUTS: u32 = 8;
/// No such thing, where a number is expected. The channel of commands has it too.
const NONE: u32 = u32::MAX;
/// More than any list of streams takes, bytes.
const MOST: u32 = 1 << 20;
/// The longest name of a program that is shown, in characters.
const LONGEST_NAME: usize = 64;

/// A connection that is told when a stream begins, changes or ends.
#[derive(Debug)]
pub(super) struct Server {
    socket: UnixStream,
    tag: u32,
    changed: bool,
}

/// A program's stream that records now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// Empty where it does not say.
    pub(super) program: String,
    pub(super) source: u32,
}

impl Server {
    /// Introduces us, and asks to be told of streams that record.
    pub(super) async fn greet(socket: UnixStream) -> io::Result<Self> {
        let mut server = Self { socket, tag: 0, changed: false };
        let reply = server.ask(AUTH, Body::new().number(VERSION).bytes(&NO_COOKIE)).await?;
        // The upper half of the word offers ways to share memory.
        let theirs = Fields(&reply).number()? & 0xffff;
        if theirs < VERSION {
            return Err(io::Error::other(format!("the sound server speaks version {theirs} only")));
        }
        server.ask(SET_CLIENT_NAME, Body::new().property("application.name", "Surge")).await?;
        server.ask(SUBSCRIBE, Body::new().number(SOURCE_OUTPUTS)).await?;
        Ok(server)
    }

    /// Returns when a stream began, changed or ended since the last question.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        while !self.changed {
            self.read().await?;
        }
        Ok(())
    }

    /// The streams that record sound now.
    pub(super) async fn streams(&mut self) -> io::Result<Vec<Stream>> {
        self.changed = false;
        let reply = self.ask(GET_SOURCE_OUTPUT_INFO_LIST, Body::new()).await?;
        recording(&reply).map_err(io::Error::from)
    }

    /// Whether a source is what is played, not a microphone. A source that has just gone counts as a microphone: we
    /// are about to be told of its streams.
    pub(super) async fn is_monitor(&mut self, source: u32) -> io::Result<bool> {
        match self.ask(GET_SOURCE_INFO, Body::new().number(source).no_text()).await {
            Ok(reply) => Ok(monitored_sink(&reply)? != NONE),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The answer to a command, without its head. `NotFound` when the server refuses.
    async fn ask(&mut self, command: u32, body: Body) -> io::Result<Vec<u8>> {
        self.tag = self.tag.wrapping_add(1);
        let packet = Body::new().number(command).number(self.tag).0;
        self.socket.write_all(&framed(&[packet, body.0].concat())).await?;
        loop {
            let (command, tag, rest) = self.read().await?;
            match command {
                REPLY if tag == self.tag => return Ok(rest),
                ERROR if tag == self.tag => {
                    let code = Fields(&rest).number()?;
                    return Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("the sound server answers error {code}"),
                    ));
                }
                _ => {}
            }
        }
    }

    /// The next packet: its command, its tag and the rest. Notes a change.
    async fn read(&mut self) -> io::Result<(u32, u32, Vec<u8>)> {
        loop {
            let length = self.socket.read_u32().await?;
            let channel = self.socket.read_u32().await?;
            self.socket.read_exact(&mut [0; 12]).await?;
            if length > MOST {
                return Err(io::Error::other(format!("the sound server sends {length} bytes at once")));
            }
            let mut packet = vec![0; length as usize];
            self.socket.read_exact(&mut packet).await?;
            if channel != NONE {
                continue;
            }
            let mut fields = Fields(&packet);
            let (command, tag) = (fields.number()?, fields.number()?);
            self.changed |= command == SUBSCRIBE_EVENT;
            return Ok((command, tag, fields.0.to_vec()));
        }
    }
}

/// A packet of the channel for commands.
fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("we send a few hundred bytes");
    let head = [length, NONE, 0, 0, 0].map(u32::to_be_bytes);
    [head.as_flattened(), packet].concat()
}

/// What is sent.
#[derive(Debug)]
struct Body(Vec<u8>);

impl Body {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn put(mut self, tag: u8, bytes: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(self, number: u32) -> Self {
        self.put(b'L', &number.to_be_bytes())
    }

    fn no_text(self) -> Self {
        self.put(b'N', &[])
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("we send a few hundred bytes");
        self.put(b'x', &length.to_be_bytes()).append(bytes)
    }

    fn append(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A list of one property.
    fn property(self, key: &str, value: &str) -> Self {
        let ended = |text: &str| [text.as_bytes(), &[0]].concat();
        let value = ended(value);
        let length = u32::try_from(value.len()).expect("we send a few hundred bytes");
        self.put(b'P', &[]).put(b't', &ended(key)).number(length).bytes(&value).no_text()
    }
}

/// Not what the protocol says.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl From<Malformed> for io::Error {
    fn from(_: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, "the sound server says what is not of its protocol")
    }
}

/// What was received and is not read yet.
#[derive(Debug)]
struct Fields<'a>(&'a [u8]);

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Number(u32),
    Text(Option<String>),
    Flag(bool),
    Properties(HashMap<String, String>),
    /// Sample formats, volumes and times.
    Other,
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn ended(&mut self) -> Result<String, Malformed> {
        let length = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        let text = self.take(length)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        let tag = self.byte()?;
        let skipped = match tag {
            b'L' => return Ok(Value::Number(self.word()?)),
            b't' => return Ok(Value::Text(Some(self.ended()?))),
            b'N' => return Ok(Value::Text(None)),
            b'0' | b'1' => return Ok(Value::Flag(tag == b'1')),
            b'P' => return Ok(Value::Properties(self.properties()?)),
            b'B' => 1,
            b'V' => 4,
            // A sample's format, channels and rate.
            b'a' => 6,
            b'R' | b'r' | b'T' | b'U' => 8,
            // A place or a volume for each channel.
            b'm' => usize::from(self.byte()?),
            b'v' => 4 * usize::from(self.byte()?),
            b'x' => self.word()? as usize,
            _ => return Err(Malformed),
        };
        self.take(skipped)?;
        Ok(Value::Other)
    }

    fn properties(&mut self) -> Result<HashMap<String, String>, Malformed> {
        let mut properties = HashMap::new();
        while let Some(key) = self.text()? {
            self.number()?;
            if self.byte()? != b'x' {
                return Err(Malformed);
            }
            let length = self.word()?;
            let value = self.take(length as usize)?;
            let value = String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned();
            properties.insert(key, value);
        }
        Ok(properties)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        if let Value::Number(number) = self.value()? { Ok(number) } else { Err(Malformed) }
    }

    fn text(&mut self) -> Result<Option<String>, Malformed> {
        if let Value::Text(text) = self.value()? { Ok(text) } else { Err(Malformed) }
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        if let Value::Flag(flag) = self.value()? { Ok(flag) } else { Err(Malformed) }
    }

    fn map(&mut self) -> Result<HashMap<String, String>, Malformed> {
        if let Value::Properties(properties) = self.value()? { Ok(properties) } else { Err(Malformed) }
    }

    fn skip(&mut self, values: usize) -> Result<(), Malformed> {
        (0..values).try_for_each(|_| self.value().map(|_| ()))
    }
}

/// The streams of a list that record for a program: not those that are paused, those that only show how loud it is, and
/// the server's own.
fn recording(list: &[u8]) -> Result<Vec<Stream>, Malformed> {
    let mut fields = Fields(list);
    let mut streams = Vec::new();
    while !fields.0.is_empty() {
        // Its number, its name, the module that made it.
        fields.skip(3)?;
        let (client, source) = (fields.number()?, fields.number()?);
        // Format, channels, two latencies.
        fields.skip(4)?;
        let (resampler, _driver) = (fields.text()?, fields.text()?);
        let (properties, paused) = (fields.map()?, fields.flag()?);
        let is = |key: &str| properties.get(key).is_some_and(|value| value == "true");
        let meter = resampler.as_deref() == Some("peaks") || is("resample.peaks") || is("stream.monitor");
        if client != NONE && source != NONE && !paused && !meter {
            streams.push(Stream { program: program(&properties), source });
        }
    }
    Ok(streams)
}

/// The program's file, as it is called in the settings too; else the name that it gives itself.
fn program(properties: &HashMap<String, String>) -> String {
    let named = ["application.process.binary", "application.name"].iter().find_map(|key| properties.get(*key));
    let shown = named.into_iter().flat_map(|name| name.chars()).filter(|it| !it.is_control());
    shown.take(LONGEST_NAME).collect()
}

/// The sink that a source monitors; `NONE` for a microphone.
fn monitored_sink(source: &[u8]) -> Result<u32, Malformed> {
    let mut fields = Fields(source);
    // Number, name, description, format, channels, module, volume, whether it is mute.
    fields.skip(8)?;
    fields.number()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(body: Body, text: &str) -> Body {
        body.put(b't', text.as_bytes()).append(&[0])
    }

    fn stream(client: u32, source: u32, resampler: &str, (key, value): (&str, &str), paused: bool) -> Vec<u8> {
        let body = text(Body::new().number(7), "a stream").number(NONE).number(client).number(source);
        let body =
            body.put(b'a', &[3, 2, 0, 0, 0xac, 0x44]).put(b'm', &[2, 1, 2]).put(b'U', &[0; 8]).put(b'U', &[0; 8]);
        let body = text(body, resampler).no_text().property(key, value);
        body.put(if paused { b'1' } else { b'0' }, &[]).0
    }

    const ZOOM: (&str, &str) = ("application.process.binary", "zoom");

    #[test]
    fn a_program_that_records_is_named() {
        let list = [stream(1, 4, "copy", ZOOM, false), stream(2, 5, "speex", ("application.name", "A\tB"), false)];
        let named = |program: &str, source| Stream { program: program.into(), source };
        assert_eq!(recording(&list.concat()), Ok(vec![named("zoom", 4), named("AB", 5)]));
        assert_eq!(recording(&stream(1, 4, "copy", ("media.role", "phone"), false)), Ok(vec![named("", 4)]));
        assert_eq!(recording(&[]), Ok(Vec::new()));
    }

    #[test]
    fn meters_paused_streams_and_the_servers_own_are_no_recorders() {
        for list in [
            stream(1, 4, "copy", ZOOM, true),
            stream(1, 4, "peaks", ZOOM, false),
            stream(1, 4, "PipeWire", ("resample.peaks", "true"), false),
            stream(NONE, 4, "copy", ZOOM, false),
            stream(1, NONE, "copy", ZOOM, false),
        ] {
            assert_eq!(recording(&list), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_list_that_is_cut_is_no_list() {
        let list = stream(1, 4, "copy", ZOOM, false);
        for length in 1..list.len() {
            assert_eq!(recording(&list[..length]), Err(Malformed), "{length} bytes");
        }
        assert_eq!(Fields(b"f").value(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..100_usize) {
            let _ = recording(&bytes);
            let _ = monitored_sink(&bytes);
            let mut spoilt = stream(1, 4, "copy", ZOOM, false);
            let at = cut % spoilt.len();
            spoilt.splice(at.., bytes);
            let _ = recording(&spoilt);
        }
    }
}
