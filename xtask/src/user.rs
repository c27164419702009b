//! The user that servers run as when xtask itself runs as root.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::places;

/// A user that is not root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Returns `postgres`, else `nobody`, when xtask runs as root; `None` when it does not.
    ///
    /// # Errors
    ///
    /// When root's machine knows neither user.
    pub(crate) fn in_place_of_root() -> Result<Option<Self>> {
        if !places::is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&users, name))
            .map(Some)
            .context("Postgres refuses to run as root and there is no user `postgres` or `nobody`")
    }

    /// Gives `path` to this user.
    ///
    /// # Errors
    ///
    /// When root may not do so, as on some network file systems.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to another user", path.display()))
    }

    /// The form that [`User::from_argument`] reads.
    pub(crate) fn to_argument(self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// Reads `uid:gid`; anything else means no other user.
    pub(crate) fn from_argument(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':')?;
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }
}

fn find(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:admin:/var/lib:/bin/bash\n";

        let user = find(users, "postgres").unwrap();

        assert_eq!((user.uid, user.gid), (101, 104));
        assert!(find(users, "nobody").is_none());
    }
}
