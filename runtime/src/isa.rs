//! Which instructions compiled code may use: a level that many machines share, not what this one processor offers.
//!
//! Results are compared within a runtime class, and a class that named every processor feature would have few members.
//! What the newest extensions would gain is in `docs/decisions/0010-instruction-levels.md`.

use wasmtime::Config;

/// Features that no level includes, by the code generator's names.
const BEYOND: [&str; 7] = [
    "has_avx_vnni",
    "has_avx512bitalg",
    "has_avx512dq",
    "has_avx512vl",
    "has_avx512vbmi",
    "has_avx512f",
    "has_avx512vnni",
];
/// What level 3 has and level 2 has not.
const LEVEL_3: [&str; 6] = ["has_avx", "has_avx2", "has_fma", "has_bmi1", "has_bmi2", "has_lzcnt"];
/// What level 2 has and level 1 has not.
const LEVEL_2: [&str; 6] = ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_cmpxchg16b"];

/// A named set of instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) name: &'static str,
    /// What this processor may have and the level has not.
    without: Vec<&'static str>,
}

impl Level {
    /// The highest level that this processor has in full.
    pub(crate) fn of_this_machine() -> Self {
        here()
    }

    /// Keeps compiled code within the level.
    pub(crate) fn apply(&self, config: &mut Config) {
        for flag in &self.without {
            switch_off(config, flag);
        }
    }
}

#[expect(unsafe_code, reason = "the engine marks every low-level flag unsafe")]
fn switch_off(config: &mut Config, flag: &str) {
    // SAFETY: the flag only takes instructions away from what the engine found on this processor by itself; code
    // that uses fewer of them runs here as well.
    unsafe { config.cranelift_flag_set(flag, "false") };
}

#[cfg(target_arch = "x86_64")]
fn here() -> Level {
    let level_2 = is_x86_feature_detected!("sse3")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("sse4.2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("cmpxchg16b");
    let level_3 = level_2
        && is_x86_feature_detected!("avx")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt");
    let (name, without): (_, Vec<_>) = match (level_2, level_3) {
        (_, true) => ("x86-64-v3", BEYOND.to_vec()),
        (true, false) => ("x86-64-v2", [&BEYOND[..], &LEVEL_3].concat()),
        (false, false) => ("x86-64-v1", [&BEYOND[..], &LEVEL_3, &LEVEL_2].concat()),
    };
    Level { name, without }
}

#[cfg(not(target_arch = "x86_64"))]
fn here() -> Level {
    Level { name: std::env::consts::ARCH, without: Vec::new() }
}
