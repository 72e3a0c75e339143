// Generated from crates/client/src/view.rs by `cargo xtask bindings`.

/**
 * What the engine is doing, in one word. Every word has its own tray shape.
 */
export type State = "earning" | "held" | "paused" | "needs_you" | "unknown";

export type ReasonCode = "starting" | "paused" | "finishing" | "outside_schedule" | "user_active" | "other_user" | "presence_unknown" | "disturbed" | "sensor_stale" | "full_screen" | "film" | "call" | "gamepad" | "excluded_program" | "on_battery" | "lid_shut" | "hot" | "other_load" | "memory_low" | "metered_network" | "settings_invalid" | "restart_needed" | "warm" | "no_temperature" | "no_work" | "coordinator_unreachable" | "coordinator_refused" | "disk_full" | "cache_unusable" | "home_unusable" | "worker_broken" | "sandbox_unavailable" | "not_set_up" | "setup_invalid" | "installation_broken" | "unknown";

/**
 * A case of a [`ReasonCode`] that has words of its own.
 */
export type Case = "ended" | "woke" | "clock_jumped" | "recovered" | "unreadable" | "charge_unknown" | "charge_low" | "sensor_gone" | "no_network" | "no_payout" | "proxy" | "clock" | "setting_changed" | "updated" | "reporter_lost" | "next_task" | "no_room" | "not_kept" | "not_read" | "unknown";

export type Unit = "seconds" | "percent" | "celsius" | "mebibytes" | "unknown";

/**
 * A value and its limit, in whole units.
 */
export type Measure = { value: number, 
/**
 * What `value` must pass for this reason to end.
 */
limit: number, unit: Unit, };

/**
 * Why nothing runs, or what the owner should know. UI, tray, `surge why`, log and tests use this one value.
 */
export type Reason = { 
/**
 * Stable.
 */
code: ReasonCode, 
/**
 * Which case of the code it is, where the words for it differ.
 */
case: Case | null, 
/**
 * The value now against its limit, where both are numbers.
 */
measure: Measure | null, 
/**
 * The program, sensor, file or setting that it is about, where there is one.
 */
subject: string | null, 
/**
 * What the system or the network said, word for word: an error's text. Never a sentence of ours.
 */
said: string | null, 
/**
 * Unix seconds at which this may end by itself, when that is known.
 */
until: number | null, 
/**
 * The key in the settings that decides it, where there is one.
 */
setting: string | null, };

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
 * A network that the engine works for.
 */
export type NetworkView = { name: string, 
/**
 * The account that rewards of this network go to, with its checksum; `null` while there is none.
 */
payout: string | null, earnings: Earnings, 
/**
 * Finished results that wait for delivery to it.
 */
undelivered: number, };

/**
 * A network that is not attached now, and that finished results wait for.
 */
export type UnattachedView = { 
/**
 * Its name when it was attached last; `null` where that is not known.
 */
name: string | null, 
/**
 * Finished results that are delivered when it is attached again.
 */
undelivered: number, };

/**
 * The layers of settings: each holds over those before it.
 */
export type SettingSource = "default" | "file" | "command_line" | "unknown";

/**
 * A setting with where its value comes from.
 */
export type SettingView = { key: string, 
/**
 * As it is written in the settings file.
 */
value: string, source: SettingSource, 
/**
 * Whether only an administrator can change it.
 */
locked: boolean, };

/**
 * The engine's whole state at one moment.
 */
export type Snapshot = { 
/**
 * Unix seconds.
 */
at: number, 
/**
 * The engine's version.
 */
version: string, state: State, 
/**
 * Why nothing runs, most important first. Empty while something runs. No two have the same code.
 */
reasons: Array<Reason>, 
/**
 * What the owner should know and what does not stop the work.
 */
notices: Array<Reason>, 
/**
 * The networks that it is attached to.
 */
networks: Array<NetworkView>, 
/**
 * Networks that it is not attached to any more, and that finished results wait for.
 */
unattached: Array<UnattachedView>, presence: PresenceView, machine: MachineView, 
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
 * All settings, in the order of the documentation.
 */
settings: Array<SettingView>, };

/**
 * What a shell may ask for.
 */
export type Command = { "pause": { seconds: number | null, } } | { "pause_until": { unix: number, } } | "finish" | "resume" | "reload" | "stop";
