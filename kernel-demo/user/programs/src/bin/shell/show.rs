//! Views of processes and of the machine, which the kernel writes.

use alloc::vec::Vec;

use runtime::system::Errno;
use runtime::system::view::{self, Subject, View};
use runtime::{print, println, views};

/// Room for the text of a view at first, and at most, in bytes.
const ROOM: usize = 8 << 10;
const MOST_ROOM: usize = 1 << 20;

/// The text of a view.
pub fn text(view: View, of: Subject) -> Result<Vec<u8>, Errno> {
    let mut room = alloc::vec![0; ROOM];
    loop {
        match view::proc_view_of(view, of, &mut room) {
            Err(Errno::ERANGE) if room.len() < MOST_ROOM => room.resize(2 * room.len(), 0),
            Err(errno) => return Err(errno),
            Ok(len) => {
                room.truncate(len);
                return Ok(room);
            }
        }
    }
}

/// Prints a view, or why there is none.
pub fn show(view: View, of: Subject) {
    match text(view, of) {
        Ok(text) => print!("{}", str::from_utf8(&text).unwrap_or_default()),
        Err(errno) => println!("{errno}"),
    }
}

/// The address that a word stands for in a process: hexadecimal, or the name of an area, as `heap`
/// or `stack`, for its first address.
pub fn address(process: usize, word: &str) -> Option<usize> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    if let Ok(address) = usize::from_str_radix(digits, 16) {
        return Some(address);
    }
    let maps = text(View::Maps, Subject { process, address: 0 }).ok()?;
    let is_meant = |name: &str| name.trim_matches(['[', ']']) == word;
    let found = views::regions(str::from_utf8(&maps).ok()?).find(|area| is_meant(area.name));
    found.map(|area| area.start)
}
