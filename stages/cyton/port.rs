//! Opens a typed serial port path and says clearly why it cannot be opened.
use std::{io, path::Path, time::Duration};

use serialport::{ErrorKind, SerialPort};
use wavedeck_api::stage::StageError;

/// Opens `path`, whatever it is: a port, a symbolic link, a pseudo-terminal.
///
/// # Errors
/// One sentence with the path and the cure, and what the system said.
pub(super) fn open(path: &str, baud: u32, timeout: Duration) -> Result<Box<dyn SerialPort>, StageError> {
    // A pty has no DTR; serialport only tries, so that is no error here.
    serialport::new(path, baud)
        .timeout(timeout)
        .open()
        .map_err(|error| StageError::Device { what: reason(path, &error), source: Some(Box::new(error)) })
}

/// True if the device is gone, false if it only has nothing to say.
pub(super) fn is_gone(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

fn reason(path: &str, error: &serialport::Error) -> String {
    let shown = path.chars().take(200).collect::<String>();
    let is_link = Path::new(path).is_symlink();
    match error.kind() {
        ErrorKind::NoDevice => format!("{shown} is in use by another program: close that first"),
        ErrorKind::Io(io::ErrorKind::NotFound) if is_link => {
            format!("{shown} is a link to nothing: is the device plugged in?")
        }
        ErrorKind::Io(io::ErrorKind::NotFound) => {
            format!("{shown} does not exist: is the device plugged in? `wavedeck devices` lists what is there")
        }
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            format!("{shown} may not be opened by you: join the group that owns it (often `dialout`) and log in again")
        }
        _ if Path::new(path).is_file() || Path::new(path).is_dir() => {
            format!("{shown} is not a serial port: `wavedeck devices` lists them")
        }
        _ if error.description.contains("typewriter") || error.description.contains("Inappropriate ioctl") => {
            format!("{shown} is not a serial port: `wavedeck devices` lists them")
        }
        _ => format!("{shown} cannot be opened: {}", error.description),
    }
}
