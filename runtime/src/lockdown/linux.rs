//! Linux: landlock with nothing allowed, resource limits, and a seccomp allow-list in two steps.
//!
//! Calls that are not listed fail with EPERM rather than kill, so that a C library which tries a newer call first can
//! fall back.

use std::collections::BTreeMap;
use std::error::Error;
use std::{io, iter};

use landlock::{ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError, Scope};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};
use surge_protocol::frame::Lockdown;

use super::{Walls, unattended};

/// What the compiler, the engine, the allocator and the conversation over open pipes are made of.
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    // Its own CPU clock.
    libc::SYS_clock_gettime,
    // After being suspended in the middle of one of these.
    libc::SYS_restart_syscall,
    // Makes fresh code visible to every core where the processor does not by itself.
    #[cfg(not(target_arch = "x86_64"))]
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// Calls of which only some kinds are needed: the argument that says which, the bits of it that count, and their values.
const KINDS: [(libc::c_long, u8, i32, &[i32]); 2] = [
    // Giving memory back. Other advice has pages merged with those of other programs, or taken from the machine.
    (libc::SYS_madvise, 2, -1, &[libc::MADV_DONTNEED, libc::MADV_FREE]),
    // Waiting and waking, without the kernel's accounts of who holds what.
    (
        libc::SYS_futex,
        1,
        !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME),
        &[libc::FUTEX_WAIT, libc::FUTEX_WAKE, libc::FUTEX_WAIT_BITSET, libc::FUTEX_WAKE_BITSET],
    ),
];
/// Calls with the memory's protection as their third argument.
const MAPPING: [libc::c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];
const PROTECTION: u8 = 2;

/// Denies every file, port, and signal or socket outside, as far as this kernel's landlock goes, and gives up all rights of
/// the superuser. Binds this thread and those it starts.
pub(crate) fn forbid_files() -> io::Result<Walls> {
    let newest = ABI::V9;
    let denied = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(newest)))
        .and_then(|rules| rules.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.restrict_self())
        .map_err(of_landlock)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(match denied.landlock {
        LandlockStatus::NotImplemented => {
            let missing = "this kernel has no landlock: Linux 5.13 and newer have it, where it is built in";
            Walls { level: Lockdown::SeccompOnly, missing }
        }
        LandlockStatus::NotEnabled => {
            let missing =
                "landlock is switched off: the kernel's list of security modules (the boot option `lsm=`) lacks it";
            Walls { level: Lockdown::SeccompOnly, missing }
        }
        // No kernel that has it enforces nothing of it.
        LandlockStatus::Available { .. } => Walls { level: Lockdown::Full, missing: "" },
    })
}

/// Keeps the kind of the system's own error: a lack of memory passes, and every other refusal lasts.
fn of_landlock(error: RulesetError) -> io::Error {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let kind = causes.find_map(|cause| cause.downcast_ref::<io::Error>()).map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error)
}

/// Allows only what compiling and running need, and that this process stops itself when nobody attends to it. Memory may
/// become executable after it was written, never both at once.
pub(crate) fn forbid_calls() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    // No new descriptor, no byte into any file, no process, no memory that can't be swapped.
    for resource in [Resource::Nofile, Resource::Fsize, Resource::Nproc, Resource::Core, Resource::Memlock] {
        setrlimit(resource, nothing)?;
    }
    unattended::stop_at_end_of_allowance()?;
    let (write, exec) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    let one_at_a_time = [0, write, exec].map(|bits| (PROTECTION, SeccompCmpOp::MaskedEq(write | exec), bits));
    // The filter of the second step still has to be installed.
    let to_tighten = (libc::SYS_prctl, (0, SeccompCmpOp::Eq, libc::PR_SET_NO_NEW_PRIVS as u64));
    let mut rules = allowed(&one_at_a_time)?;
    rules.insert(to_tighten.0, vec![rule(&[to_tighten.1])?]);
    rules.insert(libc::SYS_seccomp, vec![]);
    apply(rules)
}

/// From here on no memory becomes executable: the program's code is there, and its engine needs no other.
pub(crate) fn forbid_new_code() -> io::Result<()> {
    apply(allowed(&[(PROTECTION, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)])?)
}

type Condition = (u8, SeccompCmpOp, u64);

/// The list, with mappings under one of `conditions`.
fn allowed(conditions: &[Condition]) -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let mut rules: BTreeMap<i64, _> = CALLS.iter().map(|&call| (call, vec![])).collect();
    for (call, argument, mask, kinds) in KINDS {
        // Arguments are compared as 32 bits without a sign.
        let kind = |kind: &i32| rule(&[(argument, SeccompCmpOp::MaskedEq(mask as u32 as u64), *kind as u32 as u64)]);
        rules.insert(call, kinds.iter().map(kind).collect::<io::Result<_>>()?);
    }
    for call in MAPPING {
        let rule = |condition: &Condition| rule(std::slice::from_ref(condition));
        rules.insert(call, conditions.iter().map(rule).collect::<io::Result<_>>()?);
    }
    let own = unattended::own_pid() as u32 as u64;
    let stop_itself = [(0, SeccompCmpOp::Eq, own), (1, SeccompCmpOp::Eq, libc::SIGSTOP as u64)];
    rules.insert(libc::SYS_kill, vec![rule(&stop_itself)?]);
    Ok(rules)
}

/// Allows a call of which all conditions hold.
fn rule(conditions: &[Condition]) -> io::Result<SeccompRule> {
    let condition = |(argument, compare, value): &Condition| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, compare.clone(), *value)
    };
    conditions.iter().map(condition).collect::<Result<_, _>>().and_then(SeccompRule::new).map_err(io::Error::other)
}

fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>) -> io::Result<()> {
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let here = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let program: BpfProgram = SeccompFilter::new(rules, refused, SeccompAction::Allow, here)
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
    apply_filter_all_threads(&program).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        error => io::Error::other(error),
    })
}
