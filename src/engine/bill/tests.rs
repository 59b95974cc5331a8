//! Bills of recorded answers, of statistics and of nothing.
