//! The program on a real pseudo-terminal: keys in, the screen as a terminal shows it out.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::common::{GENEROUS, wait_until};

/// A terminal with the program in it.
pub(crate) struct Screen {
    parser: Arc<Mutex<vt100::Parser>>,
    /// Held by whoever wants nobody to read.
    reading: Arc<Mutex<()>>,
    writer: Option<Box<dyn Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    pub(crate) child: Box<dyn Child + Send + Sync>,
}

impl Screen {
    /// Starts the program in a terminal of this size.
    pub(crate) fn start(home: &Path, columns: u16, rows: u16, args: &[&str]) -> Self {
        Self::start_other(env!("CARGO_BIN_EXE_wavedeck"), home, columns, rows, args)
    }

    /// Starts another program in a terminal of this size, as one that starts ours.
    pub(crate) fn start_other(program: &str, home: &Path, columns: u16, rows: u16, args: &[&str]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(home);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")] {
            command.env(name, value);
        }
        command.env("XDG_STATE_HOME", home);
        command.env("XDG_RUNTIME_DIR", home);
        command.env("USER", "ann");
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let mut reader = pair.master.try_clone_reader().expect("the pty can be read");
        let reading = Arc::new(Mutex::new(()));
        let (shared, may_read) = (parser.clone(), reading.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                shared.lock().expect("no panic").process(&bytes[..count]);
                drop(may_read.lock());
            }
        });
        let writer = pair.master.take_writer().expect("the pty can be written");
        Self { parser, reading, writer: Some(writer), master: Some(pair.master), child }
    }

    /// Reads nothing of what the program draws, but for the piece that comes next, until the guard is dropped.
    pub(crate) fn stop_reading(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().expect("no panic")
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("the terminal is there");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("the pty takes keys");
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.parser.lock().expect("no panic").screen().contents()
    }

    /// The first line.
    pub(crate) fn header(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    /// Waits until a text is on the screen.
    pub(crate) fn wait_for(&self, part: &str) {
        let begin = std::time::Instant::now();
        while !self.text().contains(part) {
            assert!(begin.elapsed() < GENEROUS, "`{part}` is not on the screen, which is\n{}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// True once the terminal is as a shell wants it: main screen, cursor shown.
    pub(crate) fn is_given_back(&self) -> bool {
        let parser = self.parser.lock().expect("no panic");
        !parser.screen().alternate_screen() && !parser.screen().hide_cursor() && !parser.screen().bracketed_paste()
    }

    /// Changes the size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.parser.lock().expect("no panic").screen_mut().set_size(rows, columns);
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.as_ref().expect("the terminal is there").resize(size).expect("the pty can be resized");
    }

    /// The terminal vanishes, as when its window is closed.
    pub(crate) fn vanish(&mut self) {
        self.writer = None;
        self.master = None;
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.process_id().expect("it runs").to_string();
        let status = std::process::Command::new("kill").args([name, &id]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end and gives the exit code.
    pub(crate) fn wait(&mut self) -> u32 {
        let mut code = None;
        wait_until("the program's end", || {
            code = self.child.try_wait().expect("a child").map(|status| status.exit_code());
            code.is_some()
        });
        code.expect("it has ended")
    }

    /// True while the program runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// True if waves are drawn, in dots.
pub(crate) fn has_braille(text: &str) -> bool {
    text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
}
