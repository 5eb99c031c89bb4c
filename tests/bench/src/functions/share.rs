//! The share of a CPU that Lambda gives with memory, by a control group.
//!
//! A function gets one whole CPU with 1,769 MB and a part of it below, handed out in periods of 20 ms: with 128 MB it may run for
//! 1.4 ms and then waits for the next period. Control groups do the same, version 2 by `cpu.max`, version 1 by
//! `cpu.cfs_quota_us`; whoever measures has to be allowed to make one (root, mostly). Without that right, the modes with a share
//! are left out and the report says so.
//!
//! In init Lambda gives every function a whole CPU, whatever its memory; the group therefore gets its limit when the function
//! polled first.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::failure::{Because as _, Failure};

/// Memory that comes with a whole CPU, in MB.
const WHOLE_CPU_MB: f64 = 1769.0;
const PERIOD_MICROSECONDS: f64 = 20_000.0;
/// The kernel takes no less.
const LEAST_MICROSECONDS: f64 = 1000.0;

/// The part of a CPU that a function of this memory gets.
#[must_use]
pub(crate) fn cpu_share(memory_mb: u32) -> f64 {
    (f64::from(memory_mb) / WHOLE_CPU_MB).min(1.0)
}

fn quota(memory_mb: u32) -> String {
    format!("{:.0}", (cpu_share(memory_mb) * PERIOD_MICROSECONDS).max(LEAST_MICROSECONDS))
}

/// A control group of this run, removed with it.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    unified: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only fails while a process is in it, which the next run's name does not collide with.
        let _ = fs::remove_dir(&self.directory);
    }
}

impl Group {
    /// A new group, where the kernel and our rights allow one.
    pub(crate) fn open() -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("ivy-bench-{}", std::process::id());
        let unified = root.join("cgroup.controllers").is_file();
        let directory = if unified { root.join(name) } else { root.join("cpu").join(name) };
        fs::create_dir(&directory).ok()?;
        let group = Self { directory, unified };
        // Dropping it removes it again.
        group.limit(None).ok().map(|()| group)
    }

    /// Where a process writes its id to join.
    pub(crate) fn door(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// Gives what is inside the share of this memory, or everything.
    pub(crate) fn limit(&self, memory_mb: Option<u32>) -> Result<(), Failure> {
        let write = |file: &str, text: &str| {
            fs::write(self.directory.join(file), text).because(&format!("the control group does not take {file}"))
        };
        if self.unified {
            let most = memory_mb.map_or_else(|| "max".to_owned(), quota);
            return write("cpu.max", &format!("{most} {PERIOD_MICROSECONDS:.0}"));
        }
        let Some(memory_mb) = memory_mb else { return write("cpu.cfs_quota_us", "-1") };
        write("cpu.cfs_period_us", &format!("{PERIOD_MICROSECONDS:.0}"))?;
        write("cpu.cfs_quota_us", &quota(memory_mb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_grows_with_memory_up_to_one() {
        assert!((cpu_share(128) - 0.0724).abs() < 0.0001);
        assert!((cpu_share(1769) - 1.0).abs() < f64::EPSILON);
        assert!((cpu_share(10_240) - 1.0).abs() < f64::EPSILON);
        assert_eq!(quota(128), "1447");
        assert_eq!(quota(512), "5789");
        assert_eq!(quota(1), "1000");
    }
}
