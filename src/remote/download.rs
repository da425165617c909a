//! The recordings folder: what is in it, and files out of it, whole or in part. Never anything beside it.
use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::routes::failure;
use crate::{library, session::Session};

/// Bytes read at a time.
const PIECE: u64 = 256 << 10;

/// Every recording with what is known of it, newest first.
pub(super) fn list(session: &Session) -> Vec<Value> {
    let entry = |entry: &crate::snapshot::RecordingEntry| {
        let mut value = json!(entry);
        value["name"] = entry.path.file_name().map(|name| name.to_string_lossy()).into();
        value
    };
    session.recordings().iter().map(entry).collect()
}

/// The path of a recording of that name, or what the name must be.
pub(super) fn path_of(dir: &Path, name: &str) -> Result<PathBuf, &'static str> {
    if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        return Err("must be a file name in the recordings folder, without folders before it");
    }
    if !library::is_listed(Path::new(name)) {
        return Err("must end in .mcap, .mcap.part, .edf, .bdf or .wav");
    }
    let path = dir.join(name);
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    if is_file { Ok(path) } else { Err("must be a recording that is there, see /api/recordings") }
}

/// A recording that was opened to be sent.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    bytes: u64,
    tag: String,
    name: String,
}

impl Opened {
    /// Opens a recording; follows no link.
    pub(super) fn open(dir: &Path, name: &str) -> Result<Self, &'static str> {
        let path = path_of(dir, name)?;
        // Non-blocking, should it have become a pipe meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(&path, flags, Mode::empty()).map(File::from);
        let file = file.map_err(|_| "is there but cannot be read")?;
        let metadata = file.metadata().ok().filter(|metadata| metadata.is_file()).ok_or("is not a file")?;
        let bytes = metadata.len();
        let tag = format!("\"{bytes:x}-{:x}-{:x}\"", metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { file, bytes, tag, name: name.to_owned() })
    }

    /// The answer to a request for it.
    pub(super) fn response(self, headers: &HeaderMap) -> Response {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_fresh = text(header::IF_RANGE).is_none_or(|tag| tag == self.tag);
        let range =
            text(header::RANGE).filter(|_| is_fresh).map_or(Range::Whole, |range| Range::read(range, self.bytes));
        let (status, first, last) = match range {
            Range::Whole => (StatusCode::OK, 0, self.bytes),
            Range::Part(first, end) => (StatusCode::PARTIAL_CONTENT, first, end),
            Range::Beyond => {
                let what = format!("the file has {} bytes, the range begins behind them", self.bytes);
                let mut response = failure(StatusCode::RANGE_NOT_SATISFIABLE, "BadRange", &what);
                put(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", self.bytes));
                return response;
            }
        };
        let mut answer = HeaderMap::new();
        put(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
        put(&mut answer, header::ACCEPT_RANGES, "bytes");
        put(&mut answer, header::CONTENT_LENGTH, &(last - first).to_string());
        put(&mut answer, header::ETAG, &self.tag);
        put(&mut answer, header::CONTENT_DISPOSITION, &disposition(&self.name));
        if status == StatusCode::PARTIAL_CONTENT {
            put(&mut answer, header::CONTENT_RANGE, &format!("bytes {first}-{}/{}", last - 1, self.bytes));
        }
        (status, answer, Body::from_stream(pieces(self.file, first, last))).into_response()
    }
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `attachment; filename="..."`, and in full where the name is not plain ASCII.
fn disposition(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_graphic() && c != '"' { c } else { '_' }).collect();
    let coded = name.bytes().map(|byte| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", coded.collect::<String>())
}

/// The bytes from `first` to before `end`, read off the thread of the port.
fn pieces(file: File, first: u64, end: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((Arc::new(file), first), move |(file, at)| async move {
        let length = (end - at).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let reader = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
            reader.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = read.await.map_err(io::Error::other)??;
        Ok(Some((piece, (file, at + length))))
    })
}

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// All of it; also where several parts are asked for, or something that is not understood.
    Whole,
    /// From the first byte to before the second.
    Part(u64, u64),
    /// Nothing that is there.
    Beyond,
}

impl Range {
    fn read(text: &str, bytes: u64) -> Self {
        let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
            return Self::Whole;
        };
        let number = |text: &str| match text.trim() {
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok(),
            _ => None,
        };
        match (first.trim(), last.trim()) {
            ("", last) => match number(last) {
                Some(0) => Self::Beyond,
                Some(_) if bytes == 0 => Self::Beyond,
                Some(count) => Self::Part(bytes.saturating_sub(count), bytes),
                None => Self::Whole,
            },
            (first, last) => match (number(first), number(last)) {
                (Some(first), None) if last.is_empty() && first < bytes => Self::Part(first, bytes),
                (Some(first), Some(last)) if first <= last && first < bytes => {
                    Self::Part(first, last.saturating_add(1).min(bytes))
                }
                (Some(first), None) if last.is_empty() && first >= bytes => Self::Beyond,
                (Some(first), Some(last)) if first <= last => Self::Beyond,
                _ => Self::Whole,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_beyond_it() {
        for (text, range) in [
            ("bytes=0-9", Range::Part(0, 10)),
            ("bytes=90-", Range::Part(90, 100)),
            ("bytes=-10", Range::Part(90, 100)),
            ("bytes=-1000", Range::Part(0, 100)),
            ("bytes=50-1000", Range::Part(50, 100)),
            ("bytes=99-99", Range::Part(99, 100)),
            ("bytes=100-", Range::Beyond),
            ("bytes=100-200", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=0-9,20-29", Range::Whole),
            ("bytes=9-0", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("lines=0-9", Range::Whole),
        ] {
            assert_eq!(Range::read(text, 100), range, "{text}");
        }
        assert_eq!(Range::read("bytes=-5", 0), Range::Beyond);
    }

    #[test]
    fn names_stay_in_the_folder() {
        let home = tempfile::tempdir().expect("a folder");
        let dir = home.path().join("recordings");
        std::fs::create_dir(&dir).expect("writable");
        std::fs::write(home.path().join("secret.mcap"), "secret").expect("writable");
        std::fs::write(dir.join("a.mcap"), "mine").expect("writable");
        std::os::unix::fs::symlink("../secret.mcap", dir.join("link.mcap")).expect("writable");
        std::fs::create_dir(dir.join("folder.mcap")).expect("writable");
        assert!(Opened::open(&dir, "a.mcap").is_ok());
        for name in [
            "",
            ".",
            "..",
            "../secret.mcap",
            "..\\secret.mcap",
            "/etc/passwd",
            "recordings/a.mcap",
            "link.mcap",
            "folder.mcap",
            "none.mcap",
            "a.mcap\0",
            ".a.mcap",
        ] {
            assert!(Opened::open(&dir, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_name_of_a_download_cannot_break_out_of_its_header() {
        let text = disposition("a\"; b\r\nä.mcap");
        assert_eq!(text, "attachment; filename=\"a_;_b___.mcap\"; filename*=UTF-8''a%22%3B%20b%0D%0A%C3%A4.mcap");
    }
}
