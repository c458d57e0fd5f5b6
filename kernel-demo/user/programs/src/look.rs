//! Views of any process, as text of any length.

use alloc::string::String;
use alloc::vec::Vec;

use runtime::system::Errno;
use runtime::system::view::{self, Subject, View};
use runtime::views;

/// Room for the text of a view at first, and at most, in bytes.
const ROOM: usize = 8 << 10;
const MOST_ROOM: usize = 1 << 20;

/// The text of a view.
///
/// # Errors
///
/// `ESRCH` if there is no such process; `ENOSYS` on Linux.
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

/// The first address, and the one behind the last, of the area of this name in a process.
#[must_use]
pub fn area(process: usize, name: &str) -> Option<(usize, usize)> {
    area_in(&text(View::Maps, Subject { process, address: 0 }).ok()?, name)
}

/// The same in the map of a process.
#[must_use]
pub fn area_in(maps: &[u8], name: &str) -> Option<(usize, usize)> {
    let mut areas = views::regions(str::from_utf8(maps).ok()?);
    areas.find(|area| area.name.trim_matches(['[', ']']) == name).map(|area| (area.start, area.end))
}

/// What the area is called that holds an address in a process.
#[must_use]
pub fn label_at(process: usize, address: usize) -> Option<String> {
    let maps = text(View::Maps, Subject { process, address: 0 }).ok()?;
    let area = views::region_at(str::from_utf8(&maps).ok()?, address)?;
    Some(match area.name {
        "" => "anonymous memory".into(),
        "/dev/zero" => "shared memory".into(),
        name => name.into(),
    })
}
