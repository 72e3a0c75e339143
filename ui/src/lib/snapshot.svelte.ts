// The one reactive view: replaced whole by each message of the host, never patched.
import type { Backend, PauseChoice, View } from "./backend";

export class Live {
  view = $state.raw<View | null>(null);
  /** Why the host could not be asked; empty when it could. */
  error = $state("");

  constructor(private readonly backend: Backend) {}

  watch(): Promise<void> {
    return this.attempt(this.backend.watch((view) => (this.view = view)));
  }

  start(): Promise<void> {
    return this.attempt(this.backend.start());
  }

  pause(choice: PauseChoice): Promise<void> {
    return this.attempt(this.backend.pause(choice));
  }

  finish(): Promise<void> {
    return this.attempt(this.backend.finish());
  }

  resume(): Promise<void> {
    return this.attempt(this.backend.resume());
  }

  stay(): Promise<void> {
    return this.attempt(this.backend.stay());
  }

  close(): Promise<void> {
    return this.attempt(this.backend.close());
  }

  quit(): Promise<void> {
    return this.attempt(this.backend.quit());
  }

  private async attempt(command: Promise<void>): Promise<void> {
    try {
      await command;
      this.error = "";
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
    }
  }
}
