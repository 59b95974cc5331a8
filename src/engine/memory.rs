//! How much memory statements may take: joins, sorts and groups that would need more fail, one by one, instead of the process.
//!
//! Owns: the limit and its default. Refuses: temporary files; what a statement holds may be secret.

use crate::EngineError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use std::sync::Arc;

/// What a statement says that would need more.
pub(crate) const EXHAUSTED: &str =
    "out of memory: the statement needs more than statements may hold; filter earlier, join with ON, or raise --memory-limit";

/// The default is never more.
const MOST: usize = 4 << 30;
/// What every statement can do with.
const LEAST: usize = 1 << 20;

/// DataFusion's environment with the limit.
pub(crate) fn runtime(limit: Option<usize>) -> Result<Arc<RuntimeEnv>, EngineError> {
    let limit = limit.unwrap_or_else(default_limit).max(LEAST);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let pool = Arc::new(GreedyMemoryPool::new(limit));
    Ok(RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc()?)
}

/// Half of the machine's memory.
fn default_limit() -> usize {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    total.map_or(MOST, |total| (total / 2).min(MOST))
}

/// Bytes in Linux's `MemTotal:       24552440 kB`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_there_is() {
        assert_eq!(total("MemTotal:       24552440 kB\nMemFree: 1 kB\n"), Some(24_552_440 * 1024));
        for bad in ["", "MemTotal: x kB", "MemTotal: 1", "MemFree: 1 kB"] {
            assert_eq!(total(bad), None, "{bad}");
        }
        assert!((LEAST..=MOST).contains(&default_limit().max(LEAST)));
    }
}
