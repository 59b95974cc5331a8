//! Enough of the tar format to read a test archive.

/// Path and content of every regular file.
pub(super) fn files(archive: &[u8]) -> Vec<(String, &[u8])> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(header) = archive.get(at..at + 512) {
        let text = |from: usize, to: usize| std::str::from_utf8(&header[from..to]).unwrap().trim_end_matches(['\0', ' ']).to_owned();
        let (name, prefix) = (text(0, 100), text(345, 500));
        if name.is_empty() {
            break;
        }
        let size = usize::from_str_radix(&text(124, 136), 8).unwrap();
        let start = at + 512;
        if matches!(header[156], b'0' | 0) {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            out.push((path, &archive[start..start + size]));
        }
        at = start + size.div_ceil(512) * 512;
    }
    assert!(!out.is_empty(), "not a tar archive");
    out
}
