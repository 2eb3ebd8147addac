//! Rules of a container's network that are criu's own.
//!
//! While it writes a container down, criu keeps packets from its network by a table of nftables (`--network-lock nftables`). criu
//! 3.17 writes that table down, too, and after a restore takes away only the one of the restore: nothing would ever be sent or
//! received again. So it is taken out of the image.

use std::fs;
use std::io;
use std::path::Path;

/// The images with the rules of network namespaces: `nftables-NUMBER.img`, the text that nft(8) reads.
const IMAGE: (&str, &str) = ("nftables-", ".img");
/// How the table begins; its end is the first closing brace at the beginning of a line.
const LOCK: &str = "table inet CRIU-";

/// Takes what criu has locked the network with out of an image that was just made.
pub(super) fn forget_lock(image: &Path) -> io::Result<()> {
    for entry in fs::read_dir(image)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_one = |name: &str| name.starts_with(IMAGE.0) && name.ends_with(IMAGE.1);
        if !name.to_str().is_some_and(is_one) {
            continue;
        }
        let text = fs::read_to_string(entry.path())?;
        match without_lock(&text) {
            // For criu a missing image is one without rules; it may not take an empty one.
            rest if rest.trim_matches(['\0', '\n', ' ']).is_empty() => {
                fs::remove_file(entry.path())?;
            }
            rest if rest.len() < text.len() => fs::write(entry.path(), rest)?,
            _ => {}
        }
    }
    Ok(())
}

fn without_lock(text: &str) -> String {
    let mut is_inside = false;
    let mut rest = String::new();
    for line in text.split_inclusive('\n') {
        is_inside |= line.starts_with(LOCK);
        if !is_inside {
            rest.push_str(line);
        }
        is_inside &= !line.starts_with('}');
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "table ip filter {\n\tchain input {\n\t\ttcp dport 22 drop\n\t}\n}\n";
    const LOCKED: &str = "table inet CRIU-315 {\n\tchain output {\n\t\tpolicy drop;\n\t}\n\n\tchain input {\n\t}\n}\n";

    #[test]
    fn the_table_of_criu_is_taken_out_and_others_are_left() {
        for text in [
            format!("{OWN}{LOCKED}"),
            format!("{LOCKED}{OWN}"),
            OWN.to_owned(),
        ] {
            assert_eq!(without_lock(&text), OWN);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("nftables-9.img"), format!("{LOCKED}\0")).unwrap();
        fs::write(path("nftables-10.img"), format!("{LOCKED}{OWN}\0")).unwrap();
        fs::write(path("pages-1.img"), LOCKED).unwrap();
        forget_lock(folder.path()).unwrap();
        assert!(!path("nftables-9.img").exists());
        assert_eq!(
            fs::read_to_string(path("nftables-10.img")).unwrap(),
            format!("{OWN}\0")
        );
        assert_eq!(fs::read_to_string(path("pages-1.img")).unwrap(), LOCKED);
    }
}
