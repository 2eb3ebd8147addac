//! Windows paths as texts, on every platform.

fn is_separator(character: char) -> bool {
    matches!(character, '\\' | '/' | ':')
}

/// The last part of a path: what follows the last slash of either kind, or colon. Empty where the path ends in one.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit(is_separator).next().unwrap_or(path)
}

/// The folder in which a path lies, with backslashes.
pub(crate) fn parent(path: &str) -> String {
    let last = last_part(path);
    let folder = path[..path.len() - last.len()].replace('/', "\\");
    let trimmed = folder.trim_end_matches('\\');
    if trimmed.is_empty() || trimmed.ends_with(':') {
        return if folder.is_empty() {
            ".".to_owned()
        } else {
            folder
        };
    }
    trimmed.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_follows_any_separator() {
        for (path, last) in [
            (r"C:\layers\4", "4"),
            ("C:/layers/4", "4"),
            ("C:4", "4"),
            ("4", "4"),
            (r"C:\layers\4\", ""),
            (r"\\server\share\4", "4"),
            ("", ""),
        ] {
            assert_eq!(last_part(path), last, "{path}");
        }
    }

    #[test]
    fn the_parent_keeps_the_root_of_a_drive() {
        for (path, folder) in [
            (r"C:\data\filter\c1", r"C:\data\filter"),
            ("C:/data/c1", r"C:\data"),
            (r"C:\c1", r"C:\"),
            ("c1", "."),
        ] {
            assert_eq!(parent(path), folder, "{path}");
        }
    }
}
