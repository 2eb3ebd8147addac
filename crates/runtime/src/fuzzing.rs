//! What reads foreign bytes and is reached by no public function, for the fuzz targets (`fuzz`).

use crate::args::Arguments;
use crate::commands::{COMMANDS, update};
use crate::{global, notify};

/// A command line, a word each line: the flags before the command, the command's own, and what `update` makes of them.
///
/// # Panics
/// Where the words that were read are others when they are read again.
pub fn command_line(text: &str) {
    let line: Vec<String> = text.lines().map(str::to_owned).collect();
    let Ok(before) = Arguments::read(&line, &global::FLAGS, 1) else {
        return;
    };
    let Some((name, rest)) = before.words.split_first() else {
        return;
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return;
    };
    let flags: Vec<_> = command.flags.iter().copied().flatten().copied().collect();
    let Ok(arguments) = Arguments::read(rest, &flags, command.literal_after) else {
        return;
    };
    let literally = [&["--".to_owned()][..], &arguments.words].concat();
    let again = Arguments::read(&literally, &flags, command.literal_after);
    assert!(again.is_ok_and(|again| again.words == arguments.words));
    if command.name == "update" && arguments.value("resources").is_none() {
        let _ = update::wanted(&arguments);
    }
}

/// What a container sends to say that it is ready.
///
/// # Panics
/// Where it is not ready by a further line that says so.
pub fn notification(bytes: &[u8]) {
    let _ = notify::is_ready(bytes);
    assert!(notify::is_ready(&[bytes, b"\nREADY=1"].concat()));
}
