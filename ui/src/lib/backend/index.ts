// The only door to the host: whole views in, commands out. The types of the host's own are those of src-tauri, whose tests
// read this file.
import type { Snapshot } from "../bindings";

/** For how long the owner wants quiet. */
export type PauseChoice = "half_hour" | "two_hours" | "tomorrow" | "until_resumed";
export const PAUSE_CHOICES: readonly PauseChoice[] = ["half_hour", "two_hours", "tomorrow", "until_resumed"];

/** Why there is no news of the engine; each is explained in src-tauri/src/lost.rs. */
export type LostCode = "connecting" | "starting" | "restarting" | "stopping" | "not_running" | "stopped" | "crashed" | "cant_start" | "no_program" | "stuck" | "untrusted" | "refused" | "incomprehensible" | "no_home";

/** `said` is what the system or the engine said, word for word. */
export type Lost = { code: LostCode, said: string | null, };

export type SkewCode = "engine_newer" | "engine_older";

/** Two versions that differ: the engine's and this program's. */
export type Skew = { code: SkewCode, engine: string, own: string, };

/** A command that the engine did not obey. */
export type Failure = { code: string, said: string, };

/** All that the window shows at one moment. */
export type View = {
  /** The engine's last state; `null` before the first. While `lost`, it is of earlier. */
  snapshot: Snapshot | null;
  /** Why there is no news of the engine; `null` while there is. */
  lost: Lost | null;
  /** How the engine's version differs from this program's; `null` where it does not. */
  skew: Skew | null;
  /** Why the last command was not obeyed; `null` where it was. */
  failure: Failure | null;
  /** Whether the engine lets this user pause it. */
  may_pause: boolean;
  /** Whether *Quit* also ends the engine. */
  quit_stops_work: boolean;
  /** The window was asked to close where no tray would be left to open it again. */
  leaving_without_tray: boolean;
};

export interface Backend {
  /** Calls `show` with the present view, and again with each new one. */
  watch(show: (view: View) => void): Promise<void>;
  pause(choice: PauseChoice): Promise<void>;
  /** Ends the running tasks, then pauses. */
  finish(): Promise<void>;
  resume(): Promise<void>;
  /** Starts an engine where none runs. */
  start(): Promise<void>;
  /** Leaves the window open after all. */
  stay(): Promise<void>;
  /** Closes the window; the engine goes on. */
  close(): Promise<void>;
  quit(): Promise<void>;
}
