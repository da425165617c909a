//! Where the port listens, who may come in, and how much one client may take.
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use subtle::ConstantTimeEq;
use wavedeck_plane::{ADDRESSES, listen_address};

use super::Bound;
use crate::signals::Signals;

/// Variable that holds the token, where no file does.
pub const TOKEN_VARIABLE: &str = "WAVEDECK_TOKEN";
/// Shortest token; a shorter one could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Options of the command line.
#[derive(Args, Clone, Debug, Default)]
pub struct RemoteArgs {
    /// Listens for remote clients: HTTP and WebSocket, see docs/remote.md; a port alone is on this machine only
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// With an address to listen at: clients need the token in this file; without it, the one in WAVEDECK_TOKEN, if any
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// Takes the addresses, and those of the pipeline's own file, if there are any. Who asks for the end of the run does it as SIGTERM does.
    ///
    /// # Errors
    /// When the token cannot be read or is too short, or an address cannot be had.
    pub fn bind(&self, configured: &[SocketAddr], signals: &Signals) -> anyhow::Result<Bound> {
        let tcp = [configured, &self.listen].concat();
        let token = if tcp.is_empty() { None } else { Token::given(self.token_file.as_deref())? };
        let signals = signals.clone();
        let on_stop: Arc<dyn Fn() + Send + Sync> = Arc::new(move || signals.request_stop());
        let options = PortOptions { tcp, token, on_stop: Some(on_stop), ..PortOptions::default() };
        super::bind(options)
    }
}

/// Reads `127.0.0.1:9300`, `[::1]:9300`, or `9300` for this machine only.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    listen_address(text).ok_or_else(|| format!("{ADDRESSES}, got `{text}`"))
}

/// A secret that clients must know.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Takes a text as a token, without the white space around it.
    ///
    /// # Errors
    /// When it is too short, or could not stand in a header.
    pub fn new(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        if text.len() < SHORTEST_TOKEN {
            bail!("a token needs at least {SHORTEST_TOKEN} characters, this one has {}", text.len());
        }
        // What may stand in the name of a sub-protocol.
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
            bail!("a token has letters, digits and -._~ only, this one has {c:?}");
        }
        Ok(Self(text.into()))
    }

    /// The token in a file.
    ///
    /// # Errors
    /// As [`new`](Self::new), or when the file cannot be read.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let place = || format!("--token-file {}", file.display());
        Self::new(&std::fs::read_to_string(file).with_context(place)?).with_context(place)
    }

    /// The token in a file, or else in the environment, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn given(file: Option<&Path>) -> anyhow::Result<Option<Self>> {
        match file {
            Some(file) => Self::read(file).map(Some),
            None => Self::from_variable(std::env::var(TOKEN_VARIABLE).ok()),
        }
    }

    /// The secret itself, for a client that tells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_variable(value: Option<String>) -> anyhow::Result<Option<Self>> {
        let value = value.filter(|value| !value.trim().is_empty());
        value.map(|value| Self::new(&value)).transpose().context(TOKEN_VARIABLE)
    }

    /// True for the right one. The time that this takes tells nothing of where the first difference is.
    pub fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

/// How a port is opened.
#[derive(Clone, Default)]
pub struct PortOptions {
    /// Addresses to listen at; port 0 is any free one.
    pub tcp: Vec<SocketAddr>,
    /// Unix sockets to listen at, for the owner of the program only.
    pub unix: Vec<PathBuf>,
    /// What clients over TCP must know; without it only loopback addresses are allowed.
    pub token: Option<Token>,
    /// How much a client may take.
    pub limits: Limits,
    /// Called when a client asks for the end of the run.
    pub on_stop: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What a client may take of room and time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Clients on a WebSocket at a time: so many over TCP, and so many of the owner at Unix sockets.
    pub clients: usize,
    /// Connections of any kind at a time, on each address.
    pub connections: usize,
    /// Bytes of one message from a client.
    pub message_bytes: usize,
    /// Messages taken from one client within a second; the next ones wait.
    pub messages_per_second: u32,
    /// Streams that one client may subscribe to.
    pub subscriptions: usize,
    /// Messages that may wait for one client.
    pub queued_messages: usize,
    /// Bytes that may wait for one client.
    pub queued_bytes: usize,
    /// Time for the head of a request to arrive.
    pub handshake: Duration,
    /// Time between two pings.
    pub ping: Duration,
    /// Time without a sign of life after which a client is let go.
    pub idle: Duration,
    /// Time that a client may take for one message to it.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 16,
            connections: 64,
            message_bytes: 64 << 10,
            messages_per_second: 1000,
            subscriptions: 64,
            queued_messages: 256,
            queued_bytes: 4 << 20,
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            stalled: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_this_machine_only() {
        assert_eq!(address("9300"), Ok(SocketAddr::from(([127, 0, 0, 1], 9300))));
        assert_eq!(address("localhost:1"), Ok(SocketAddr::from(([127, 0, 0, 1], 1))));
        assert_eq!(address("0.0.0.0:0").map(|address| address.to_string()), Ok("0.0.0.0:0".into()));
        assert!(address("[::1]:9300").is_ok());
        for text in ["", "example.com:80", "70000", "127.0.0.1", "-1"] {
            assert!(address(text).is_err_and(|why| why.contains("127.0.0.1:9300")), "{text}");
        }
    }

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        let token = Token::new("  0123456789abcdef\n").expect("long enough");
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeF") && !token.is(""));
        assert_eq!(format!("{token:?}"), "Token(...)");
        assert!(Token::new("short").is_err_and(|why| why.to_string().contains("at least 16")));
        assert!(Token::new("0123456789 abcdef").is_err());
        assert!(Token::from_variable(Some(" ".into())).expect("as if it were not there").is_none());
    }
}
