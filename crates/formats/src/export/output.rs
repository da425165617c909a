//! A file that appears under its name only when it is whole.
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use wavedeck_recording::rename_to_free;

use super::error::ExportError;

/// An output in the making, under a temporary name.
pub(crate) struct Output {
    path: PathBuf,
    overwrite: bool,
    file: BufWriter<File>,
    temporary: Temporary,
}

impl Output {
    /// Begins an output; nothing happens to a file that is there.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, ExportError> {
        if !overwrite && fs::symlink_metadata(path).is_ok() {
            return Err(ExportError::Exists { path: path.to_owned() });
        }
        let (temporary, file) = Temporary::beside(path).map_err(refused(path))?;
        Ok(Self { path: path.to_owned(), overwrite, file: BufWriter::with_capacity(1 << 18, file), temporary })
    }

    pub(crate) fn file(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Gives the file its name.
    pub(crate) fn publish(self) -> Result<(), ExportError> {
        let Self { path, overwrite, file, temporary } = self;
        let io_error = refused(&path);
        let file = file.into_inner().map_err(|error| io_error(error.into_error()))?;
        file.sync_all().map_err(&io_error)?;
        let renamed = if overwrite { fs::rename(&temporary.0, &path) } else { rename_to_free(&temporary.0, &path) };
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ExportError::Exists { path: path.clone() })
            }
            result => result.map_err(&io_error),
        }
    }
}

/// The JSON file that belongs to an output: its whole name and `.json`.
pub(crate) fn sidecar_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".json");
    PathBuf::from(name)
}

fn refused(path: &Path) -> impl Fn(io::Error) -> ExportError {
    let output = path.display().to_string();
    move |source| ExportError::Io { output: output.clone(), source }
}

/// A file that is removed if it still has its temporary name.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        for n in 0..1000 {
            let temporary = path.with_file_name(format!(".{name}.{n}.tmp"));
            match File::create_new(&temporary) {
                Ok(file) => return Ok((Self(temporary), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        drop(fs::remove_file(&self.0));
    }
}
