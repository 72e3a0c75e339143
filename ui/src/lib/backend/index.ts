// The only door to the host: whole views in, commands out.
import type { Snapshot } from "../bindings";

/** For how long the owner wants quiet. */
export type PauseChoice = "half_hour" | "two_hours" | "tomorrow" | "until_resumed";
export const PAUSE_CHOICES: readonly PauseChoice[] = ["half_hour", "two_hours", "tomorrow", "until_resumed"];

/** All that the window shows at one moment. */
export type View = {
  snapshot: Snapshot;
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
  /** Leaves the window open after all. */
  stay(): Promise<void>;
  /** Closes the window; the engine goes on. */
  close(): Promise<void>;
  quit(): Promise<void>;
}
