//! Columns for people.

use std::fmt::Write as _;

/// Spaces between two columns, as docker has them.
const GAP: usize = 3;

/// `header` and `rows`, each cell as wide as the widest of its column.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let header = header.iter().map(|title| (*title).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&header).chain(rows).cloned().collect();
    align(&lines)
}

/// Lines of cells, each as wide as the widest of its column.
pub(crate) fn align(lines: &[Vec<String>]) -> String {
    let lines: Vec<Vec<String>> = lines
        .iter()
        .map(|cells| cells.iter().map(|cell| printable(cell)).collect())
        .collect();
    let mut widths = vec![0; lines.iter().map(Vec::len).max().unwrap_or(0)];
    for cells in &lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for cells in &lines {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(cells) {
            let _ = write!(line, "{cell:width$}", width = width + GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `text` with control characters written out: what a container calls itself must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// At most `longest` characters of `text`, the last of them an ellipsis where some are left out.
pub(crate) fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
        assert_eq!(
            render(&["ID", "NAME"], &[row("a", "é"), row("longer", "")]),
            "ID       NAME\na        é\nlonger\n"
        );
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let text = render(&["A"], &[vec!["x\u{1b}[2J\ny".to_owned()]]);
        assert_eq!(text, "A\nx\\u{1b}[2J\\ny\n");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shorten("sleep 1000", 6), "sleep…");
        assert_eq!(shorten("sleep", 5), "sleep");
    }
}
