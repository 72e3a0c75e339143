// Which host this build talks to. The app's own build holds no scripted one.
import type { Backend } from ".";

export async function connect(): Promise<Backend> {
  if (import.meta.env.MODE === "fake") {
    const { fake } = await import("./fake");
    return fake(new URLSearchParams(location.search));
  }
  const { tauri } = await import("./tauri");
  return tauri;
}
