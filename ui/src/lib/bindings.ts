// Generated from crates/contributor/src/view.rs by `cargo xtask bindings`.

/**
 * What the engine is doing, in one word. Every word has its own tray shape.
 */
export type State = "earning" | "held" | "paused" | "needs_you";

export type ReasonCode = "paused" | "finishing" | "outside_schedule" | "user_active" | "other_user" | "presence_unknown" | "disturbed" | "sensor_stale" | "full_screen" | "film" | "call" | "gamepad" | "excluded_program" | "on_battery" | "lid_shut" | "hot" | "other_load" | "memory_low" | "metered_network" | "settings_invalid" | "restart_needed" | "warm" | "no_temperature" | "starting" | "no_work" | "coordinator_unreachable" | "coordinator_refused" | "disk_full" | "cache_unusable" | "worker_broken" | "not_set_up";

export type Unit = "seconds" | "percent" | "celsius" | "mebibytes";

/**
 * A value and its limit, in whole units.
 */
export type Measure = { value: number, 
/**
 * What `value` must pass for this reason to end.
 */
limit: number, unit: Unit, };

/**
 * Why nothing runs, most important first. `code` is stable; UI, tray, `surge why`, log and tests use this one value.
 */
export type Reason = { code: ReasonCode, 
/**
 * The condition in words, with its value and the limit: `last input 4 s ago, starts after 180 s`.
 */
detail: string, 
/**
 * The value now against its limit, where both are numbers.
 */
measure: Measure | null, 
/**
 * The program or sensor that it is about, where there is one.
 */
subject: string | null, 
/**
 * Unix seconds at which this may end by itself, when that is known.
 */
until: number | null, 
/**
 * The key in the settings that decides it, where there is one.
 */
setting: string | null, 
/**
 * What the owner can do.
 */
remedy: string, };

/**
 * What is known of the owner's presence.
 */
export type PresenceView = { 
/**
 * `x11`, `headless`, `none`.
 */
source: string, 
/**
 * Seconds since the last input; `null` where no source tells.
 */
idle_seconds: number | null, 
/**
 * Seconds without input after which work may start.
 */
idle_after_seconds: number, };

/**
 * A reading's source: `thermal` from `hwmon`.
 */
export type SensorView = { reading: string, source: string, };

/**
 * What the sensors tell of this computer, beside the limits that hold.
 */
export type MachineView = { 
/**
 * The processor's temperature, °C; `null` where no sensor tells.
 */
celsius: number | null, 
/**
 * At which the load is kept, and from which on nothing runs, °C.
 */
target_celsius: number, stop_celsius: number, 
/**
 * CPU of other programs, percent of the whole machine; `null` before the first reading.
 */
other_load_percent: number | null, 
/**
 * Above which nothing runs; `null` is never.
 */
other_load_limit_percent: number | null, 
/**
 * `mains`, `battery`, `unknown`.
 */
power: string, battery_percent: number | null, 
/**
 * Where each reading comes from.
 */
sensors: Array<SensorView>, };

/**
 * A running worker, as measured from outside.
 */
export type WorkerView = { pid: number, lease: string, job_name: string, index: number, 
/**
 * The share of one core that it may use now, 0 to 1. 0 is held.
 */
share: number, 
/**
 * CPU time so far, milliseconds.
 */
cpu_ms: number, };

/**
 * Money in its states, base units, by the coordinator's ledger and the chain. What the engine does not know is zero.
 */
export type Earnings = { 
/**
 * Delivered, not yet judged.
 */
awaiting: string, 
/**
 * Credited, and not yet in a finalized epoch.
 */
validated: string, 
/**
 * All that finalized epochs credit to the payout account.
 */
settled: string, 
/**
 * Credited since local midnight, as this engine saw it.
 */
today: string, tasks_accepted: number, tasks_rejected: number, };

/**
 * The engine's whole state at one moment.
 */
export type Snapshot = { 
/**
 * Unix seconds.
 */
at: number, version: string, 
/**
 * The attached network's name.
 */
network: string | null, 
/**
 * The payout account, with its checksum.
 */
payout: string | null, state: State, 
/**
 * One true sentence: the same in tray tooltip, hero and CLI.
 */
headline: string, 
/**
 * Why nothing runs, most important first. Empty while something runs.
 */
reasons: Array<Reason>, 
/**
 * What the owner should know and what does not stop the work.
 */
notices: Array<Reason>, presence: PresenceView, machine: MachineView, 
/**
 * Unix seconds until which the owner paused it; `null` when not paused, or paused until resumed.
 */
paused_until: number | null, 
/**
 * The running tasks finish, then it pauses.
 */
finishing: boolean, workers: Array<WorkerView>, 
/**
 * Workers that may run at once.
 */
max_workers: number, 
/**
 * CPU of the workers in percent of the whole machine, measured over the last second.
 */
load_percent: number, 
/**
 * The last five minutes of `load_percent`, one value per 5 s, newest last.
 */
load_history: Array<number>, 
/**
 * CPU time that all workers used since the engine's start, measured, milliseconds.
 */
worked_ms: number, 
/**
 * Finished results that wait for delivery.
 */
undelivered: number, earnings: Earnings, };

/**
 * What a shell may ask for.
 */
export type Command = { "pause": { seconds: number | null, } } | { "pause_until": { unix: number, } } | "finish" | "resume";
