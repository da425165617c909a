//! Replays the examples of docs/remote.md, in their order, against the running program.
mod common;

use std::{
    collections::VecDeque,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{GENEROUS, text, wait_until, wavedeck};
use serde_json::Value;
use tungstenite::{Message, WebSocket};

/// Stands for anything.
const ANYTHING: char = '…';
/// Token of the examples that show one.
const TOKEN: &str = "correct-horse-battery-staple";
/// Bytes before the values of a frame.
const HEAD_BYTES: usize = 40;
/// Pause between two requests of something that takes a moment.
const AGAIN: Duration = Duration::from_millis(50);
/// Time until something that takes a moment must be so.
const MOMENT: Duration = Duration::from_secs(20);

#[test]
fn the_examples_of_the_remote_port_are_true() {
    let document = fs::read_to_string("docs/remote.md").expect("the document");
    let examples = examples(&document);
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("token"), TOKEN).expect("written");
    let open = Running::start(home.path(), "lab", &[]);
    let closed = Running::start(home.path(), "closed", &["--token-file", "token"]);
    let mut talk = Talk::begin(open.address);

    for example in &examples {
        let outcome = match example.kind {
            "json" => talk.replay(example),
            "frame" => talk.compare_frame(example),
            "http" => ask(open.address, example),
            "http token" => ask(closed.address, example),
            "sh" => example.lines().try_for_each(|(at, line)| check_options(home.path(), at, line)),
            // Configuration and code of others.
            "yaml" | "python" | "js" => Ok(()),
            other => Err((example.line, format!("nobody knows how to replay `{other}`"))),
        };
        if let Err((line, why)) = outcome {
            panic!("docs/remote.md:{line}: {why}");
        }
    }

    let told: Vec<&str> = document.split('`').skip(1).step_by(2).collect();
    let methods = talk.methods();
    let untold: Vec<&String> = methods.iter().filter(|method| !told.contains(&method.as_str())).collect();
    assert!(methods.len() > 20 && untold.is_empty(), "methods that docs/remote.md does not name: {untold:?}");
    drop(closed);
    open.stop_as_told();
    let recording = home.path().join("lab/trial-1.mcap");
    succeed(home.path(), &["verify", recording.to_str().expect("UTF-8")]);
}

/// A fenced block.
struct Example<'a> {
    kind: &'a str,
    /// Line of the document that its text begins at.
    line: usize,
    text: Vec<&'a str>,
}

/// What is wrong, and in which line.
type Outcome = Result<(), (usize, String)>;

fn examples(document: &str) -> Vec<Example<'_>> {
    let mut found: Vec<Example<'_>> = Vec::new();
    let mut is_inside = false;
    for (number, line) in (1..).zip(document.lines()) {
        match line.strip_prefix("```") {
            Some(_) if is_inside => is_inside = false,
            Some(kind) => {
                is_inside = true;
                found.push(Example { kind, line: number + 1, text: Vec::new() });
            }
            None if is_inside => found.last_mut().expect("it has begun").text.push(line),
            None => {}
        }
    }
    assert!(!is_inside, "the last block of docs/remote.md does not end");
    found
}

impl<'a> Example<'a> {
    fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> {
        (self.line..).zip(self.text.iter().copied())
    }
}

/// The program with folders of its own.
fn command(home: &Path) -> std::process::Command {
    let mut command = wavedeck(home);
    command.env("XDG_RUNTIME_DIR", home).env_remove("WAVEDECK_TOKEN");
    command
}

/// Runs the program and wants exit code 0; gives what it printed.
fn succeed(home: &Path, arguments: &[&str]) -> String {
    let output = command(home).args(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?} ended with {:?}: {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// A session.
struct Running {
    home: PathBuf,
    name: &'static str,
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(home: &Path, name: &'static str, options: &[&str]) -> Self {
        let config = Path::new("configs/demo.json").canonicalize().expect("the demo");
        let log = home.join(name).with_extension("log");
        let mut command = command(home);
        command.arg("run").arg(config).args(["--headless", "--listen", "127.0.0.1:0", "--session", name, "--log"]);
        command.arg(&log).arg("--set").arg(format!("rec.dir={}", home.join(name).display())).args(options);
        let child = command.current_dir(home).stdout(Stdio::null()).spawn().expect("the program starts");
        let mut running = Self { home: home.into(), name, child, address: SocketAddr::from(([0; 4], 0)) };
        wait_until("it says where it listens", || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let told =
                log.split_once("listening at ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
            running.address = told.unwrap_or(running.address);
            told.is_some()
        });
        running
    }

    /// Ends it as the document says.
    fn stop_as_told(mut self) {
        let listed = succeed(&self.home, &["sessions"]);
        assert!(listed.starts_with(self.name), "{listed}");
        let child = &mut self.child;
        let code = thread::scope(|scope| {
            // A process is there until somebody has asked how it ended.
            let ended = scope.spawn(|| child.wait().expect("a child").code());
            succeed(&self.home, &["stop", self.name]);
            ended.join().expect("no panic")
        });
        assert_eq!(code, Some(0));
        let listed = succeed(&self.home, &["sessions"]);
        assert!(!listed.contains(self.name), "{listed}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The WebSocket, and what has come over it and was not looked at yet.
struct Talk {
    socket: WebSocket<TcpStream>,
    answers: VecDeque<Value>,
    notifications: VecDeque<Value>,
    frames: VecDeque<Vec<u8>>,
}

impl Talk {
    fn begin(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a socket");
        let (socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream).expect("a WebSocket");
        Self { socket, answers: VecDeque::new(), notifications: VecDeque::new(), frames: VecDeque::new() }
    }

    fn replay(&mut self, example: &Example<'_>) -> Outcome {
        let mut messages: Vec<(usize, String)> = Vec::new();
        for (at, line) in example.lines() {
            match messages.last_mut() {
                _ if line.starts_with("-> ") || line.starts_with("<- ") => messages.push((at, line.to_owned())),
                Some((_, message)) => message.extend(["\n", line]),
                None => return Err((at, "a message begins with `-> ` or `<- `".into())),
            }
        }
        for (at, message) in messages {
            self.follow(&message).map_err(|why| (at, why))?;
        }
        Ok(())
    }

    fn follow(&mut self, message: &str) -> Result<(), String> {
        if let Some(request) = message.strip_prefix("-> ") {
            return self.socket.send(Message::text(request)).map_err(|error| error.to_string());
        }
        let expected: Value = serde_json::from_str(&message[3..]).map_err(|error| format!("no JSON: {error}"))?;
        if expected.get("method").is_none() {
            let answer = self.next(|talk| talk.answers.pop_front())?;
            return contains(&answer, &expected, "").map_err(|why| format!("{why}; the whole answer: {answer}"));
        }
        // Others may come before it.
        let is_it = |message: &Value| contains(message, &expected, "").is_ok();
        let fitting = |talk: &mut Self| {
            let at = talk.notifications.iter().position(is_it)?;
            talk.notifications.drain(..=at).next_back()
        };
        match self.next(fitting) {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("{why}; came instead: {:?}", self.notifications)),
        }
    }

    /// Reads until something is there.
    fn next<T>(&mut self, mut take: impl FnMut(&mut Self) -> Option<T>) -> Result<T, String> {
        let begin = Instant::now();
        loop {
            if let Some(found) = take(self) {
                return Ok(found);
            }
            if begin.elapsed() > GENEROUS {
                return Err(format!("nothing of the kind came within {} s", GENEROUS.as_secs()));
            }
            match self.socket.read().map_err(|error| error.to_string())? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
                    let is_notification = message.get("method").is_some();
                    (if is_notification { &mut self.notifications } else { &mut self.answers }).push_back(message);
                }
                Message::Binary(frame) => self.frames.push_back(frame.into()),
                _ => {}
            }
        }
    }

    /// Compares the next frame with lines of an offset, bytes of which `..` is any, and words.
    fn compare_frame(&mut self, example: &Example<'_>) -> Outcome {
        let frame = self.next(|talk| talk.frames.pop_front()).map_err(|why| (example.line, why))?;
        let mut at = 0;
        for (number, line) in example.lines() {
            let mut words = line.split_whitespace();
            if words.next().and_then(|offset| offset.parse().ok()) != Some(at) {
                return Err((number, format!("this is at byte {at}")));
            }
            let is_byte = |word: &&str| word.len() == 2 && (*word == ".." || u8::from_str_radix(word, 16).is_ok());
            for byte in words.take_while(is_byte) {
                let found = frame.get(at).copied().map_or("nothing".into(), |byte| format!("{byte:02x}"));
                if byte != ".." && byte != found {
                    return Err((number, format!("byte {at} is {found}")));
                }
                at += 1;
            }
        }
        let number = |from: usize, bytes: usize| {
            frame[from..from + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let (channels, frames) = (number(6, 2), number(8, 4));
        if at <= HEAD_BYTES || frame.len() != HEAD_BYTES + channels * frames * 4 {
            return Err((example.line, format!("{} bytes, of {channels} channels and {frames} frames", frame.len())));
        }
        Ok(())
    }

    /// Names of all methods.
    fn methods(&mut self) -> Vec<String> {
        let request = r#"{"jsonrpc": "2.0", "id": "methods", "method": "rpc.discover"}"#;
        self.socket.send(Message::text(request)).expect("connected");
        let answer = self.next(|talk| talk.answers.pop_front()).expect("an answer");
        let methods = answer["result"]["methods"].as_array().expect("a list");
        methods.iter().map(|method| method["name"].as_str().expect("a name").to_owned()).collect()
    }
}

/// Asks over HTTP until the answer is as expected: some things take a moment.
fn ask(address: SocketAddr, example: &Example<'_>) -> Outcome {
    let begin = Instant::now();
    loop {
        let outcome = ask_once(address, example);
        if outcome.is_ok() || begin.elapsed() > MOMENT {
            return outcome;
        }
        thread::sleep(AGAIN);
    }
}

fn ask_once(address: SocketAddr, example: &Example<'_>) -> Outcome {
    let mut lines = example.lines();
    let mut part = || lines.by_ref().take_while(|(_, line)| !line.is_empty()).collect::<Vec<_>>();
    let (request, head) = (part(), part());
    let body: Vec<(usize, &str)> = lines.collect();
    let first = (example.line, "a request, an empty line and an answer are wanted".to_owned());
    let (Some((_, asked)), Some(((at, status), headers))) = (request.first(), head.split_first()) else {
        return Err(first);
    };

    let mut text = format!("{asked} HTTP/1.1\r\nConnection: close\r\n");
    if !request.iter().any(|(_, line)| line.starts_with("Host:")) {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    request[1..].iter().for_each(|(_, line)| text.extend([line, "\r\n"]));
    let answer = exchanged(address, &format!("{text}\r\n")).map_err(|error| (*at, error.to_string()))?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or((*at, "no head".to_owned()))?;
    let (found, came) = (String::from_utf8_lossy(&answer[..end]), String::from_utf8_lossy(&answer[end + 4..]));
    let found: Vec<&str> = found.split("\r\n").collect();

    if found[0] != *status {
        return Err((*at, format!("{}: {came}", found[0])));
    }
    for (at, header) in headers {
        if !found.iter().any(|line| fits(line, header)) {
            return Err((*at, format!("no such header in {found:?}")));
        }
    }
    let expected = body.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let Some((at, _)) = body.first() else { return Ok(()) };
    if expected.starts_with('{') {
        let expected: Value = serde_json::from_str(&expected).map_err(|error| (*at, format!("no JSON: {error}")))?;
        let came: Value = serde_json::from_str(&came).map_err(|error| (*at, format!("{error}: {came}")))?;
        return contains(&came, &expected, "").map_err(|why| (*at, why));
    }
    match body.iter().find(|(_, wanted)| !came.lines().any(|line| fits(line, wanted))) {
        Some((at, _)) => Err((*at, format!("no such line in:\n{came}"))),
        None => Ok(()),
    }
}

fn exchanged(address: SocketAddr, request: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(GENEROUS))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Whether what is expected is in what came; if not, where it is not.
fn contains(came: &Value, expected: &Value, place: &str) -> Result<(), String> {
    let differs = || Err(format!("at `{place}` {expected} is expected, got {came}"));
    match (expected, came) {
        _ if is_anything(expected) => Ok(()),
        (Value::String(wanted), Value::String(text)) if fits(text, wanted) => Ok(()),
        (Value::Number(wanted), Value::Number(number)) if wanted.as_f64() == number.as_f64() => Ok(()),
        (Value::Object(wanted), Value::Object(object)) => wanted.iter().try_for_each(|(name, value)| {
            let place = format!("{place}/{name}");
            object.get(name).map_or_else(|| Err(format!("`{place}` is missing")), |came| contains(came, value, &place))
        }),
        (Value::Array(wanted), Value::Array(list)) => {
            let (wanted, may_go_on) = match wanted.split_last() {
                Some((last, wanted)) if is_anything(last) => (wanted, true),
                _ => (wanted.as_slice(), false),
            };
            if list.len() < wanted.len() || list.len() > wanted.len() && !may_go_on {
                return differs();
            }
            let mut pairs = list.iter().zip(wanted).enumerate();
            pairs.try_for_each(|(at, (came, wanted))| contains(came, wanted, &format!("{place}/{at}")))
        }
        _ if expected == came => Ok(()),
        _ => differs(),
    }
}

fn is_anything(expected: &Value) -> bool {
    expected.as_str().is_some_and(|text| text.chars().eq([ANYTHING]))
}

/// Whether a text is as wanted, where [`ANYTHING`] stands for any part.
fn fits(text: &str, wanted: &str) -> bool {
    let mut parts = wanted.split(ANYTHING);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Checks that the program has the command and the options of a line.
fn check_options(home: &Path, at: usize, line: &str) -> Outcome {
    let line = line.split(" #").next().unwrap_or_default();
    let Some(arguments) = line.strip_prefix("wavedeck ") else { return Ok(()) };
    let (name, options) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let help = succeed(home, &[name.trim(), "--help"]);
    let is_unknown = |option: &&str| option.starts_with("--") && !help.split_whitespace().any(|word| word == *option);
    match options.split_whitespace().find(is_unknown) {
        Some(option) => Err((at, format!("`{name}` has no option `{option}`"))),
        None => Ok(()),
    }
}

#[test]
fn an_example_fits_where_it_is_contained() {
    let is_in = |came: &str, expected: &str| {
        let read = |text| serde_json::from_str(text).expect("JSON");
        contains(&read(came), &read(expected), "").is_ok()
    };

    assert!(is_in(r#"{"a": 60.0, "b": [1, {"c": "x", "d": null}]}"#, r#"{"b": ["…", {"c": "x"}], "a": 60}"#));
    assert!(is_in(r#"[1, 2, 3]"#, r#"[1, "…"]"#) && is_in("[]", r#"["…"]"#));
    assert!(!is_in("[1, 2, 3]", "[1, 2]") && !is_in("[1]", "[1, 2]") && !is_in(r#"{"a": 1}"#, r#"{"b": "…"}"#));
    assert!(!is_in(r#"{"a": 1}"#, r#"{"a": "1"}"#) && !is_in("null", "0"));
    assert!(fits("from 12 to 13", "from … to …") && fits("abc", "…c") && fits("abc", "a…") && fits("abc", "abc"));
    assert!(!fits("abcd", "abc") && !fits("abc", "b…") && !fits("abc", "…b") && !fits("aa", "aa…a"));
}
