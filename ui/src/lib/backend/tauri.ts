// The real host. No other file imports Tauri.
import { Channel, invoke } from "@tauri-apps/api/core";
import type { Backend, View } from ".";

export const tauri: Backend = {
  watch: (show) => invoke("watch", { views: new Channel<View>(show) }),
  pause: (choice) => invoke("pause", { choice }),
  finish: () => invoke("finish"),
  resume: () => invoke("resume"),
  start: () => invoke("start"),
  stay: () => invoke("stay"),
  close: () => invoke("close"),
  quit: () => invoke("quit"),
};
