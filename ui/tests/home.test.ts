import { cleanup, render, screen, within } from "@testing-library/svelte";
import axe from "axe-core";
import { tick } from "svelte";
import { afterEach, describe, expect, it, vi } from "vitest";
import App from "../src/App.svelte";
import { fake, scenes, viewOf } from "../src/lib/backend/fake";
import type { Backend } from "../src/lib/backend";
import type { Snapshot } from "../src/lib/bindings";
import { speak } from "../src/lib/messages";
import { Live } from "../src/lib/snapshot.svelte";

async function open(state: string, change: Partial<Backend> = {}) {
  const backend = { ...fake(new URLSearchParams({ state, still: "" })), ...change };
  for (const command of ["pause", "finish", "resume", "start", "close", "quit"] as const) vi.spyOn(backend, command);
  const live = new Live(backend);
  const page = render(App, { live, say: speak(["en-GB"]) });
  await tick();
  return { backend, live, page };
}

const press = (key: string, on: EventTarget = document.body) =>
  on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const button = (name: string) => screen.getByRole("button", { name });

afterEach(cleanup);

describe("Home", () => {
  it("says what holds the engine", async () => {
    await open("held");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Waiting: you are using this computer");
  });

  it("offers Pause while it may run and Resume while paused, never both", async () => {
    const { backend } = await open("earning");
    button("Pause").click();
    await tick();
    expect(backend.pause).toHaveBeenCalledWith("until_resumed");
    expect(screen.queryByRole("button", { name: "Pause" })).toBeNull();
    button("Resume").click();
    await tick();
    expect(backend.resume).toHaveBeenCalledOnce();
    expect(button("Pause")).toBeTruthy();
  });

  it("pauses and resumes with the space bar", async () => {
    const { backend } = await open("earning");
    press(" ");
    await tick();
    press(" ");
    expect(backend.pause).toHaveBeenCalledWith("until_resumed");
    expect(backend.resume).toHaveBeenCalledOnce();
  });

  it("leaves the space bar to a button that has the focus", async () => {
    const { backend } = await open("earning");
    press(" ", button("Pause for…"));
    expect(backend.pause).not.toHaveBeenCalled();
  });

  it("opens the durations by keyboard, walks them and gives the focus back", async () => {
    const { backend } = await open("earning");
    button("Pause for…").click();
    await tick();
    const items = within(screen.getByRole("menu")).getAllByRole("menuitem");
    expect(items.map((item) => item.textContent)).toEqual([
      "For 30 minutes",
      "For 2 hours",
      "Until tomorrow",
      "Until I resume",
      "Finish tasks, then pause",
    ]);
    expect(document.activeElement).toBe(items[0]);
    press("ArrowUp", items[0]);
    expect(document.activeElement).toBe(items[4]);
    press("Escape", items[4]);
    await tick();
    expect(screen.queryByRole("menu")).toBeNull();
    expect(document.activeElement).toBe(button("Pause for…"));
    button("Pause for…").click();
    await tick();
    screen.getByRole("menuitem", { name: "For 2 hours" }).click();
    expect(backend.pause).toHaveBeenCalledWith("two_hours");
  });

  it("finishes the tasks first when that is what the owner picks, and says how to go on after all", async () => {
    const { backend } = await open("earning");
    button("Pause for…").click();
    await tick();
    screen.getByRole("menuitem", { name: "Finish tasks, then pause" }).click();
    await tick();
    expect(backend.finish).toHaveBeenCalledOnce();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Finishing 2 tasks, then pausing");
    expect(screen.getByText("The running tasks end, then it pauses.")).toBeTruthy();
    expect(screen.queryByText("Finishing, then pausing"), "once is enough").toBeNull();
    button("Pause for…").click();
    await tick();
    expect(screen.queryByRole("menuitem", { name: /Finish/ }), "it is finishing already").toBeNull();
    button("Keep going afterwards").click();
    await tick();
    expect(backend.resume).toHaveBeenCalledOnce();
    expect(screen.queryByRole("button", { name: "Keep going afterwards" })).toBeNull();
  });

  it("offers nothing to finish where nothing runs", async () => {
    await open("no_work");
    button("Pause for…").click();
    await tick();
    expect(within(screen.getByRole("menu")).getAllByRole("menuitem")).toHaveLength(4);
  });

  it("says that held work is to finish as well", async () => {
    await open("finishing_held");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toMatch(/^Waiting to finish: /);
    expect(button("Keep going afterwards")).toBeTruthy();
  });

  it("shows the other conditions behind their number", async () => {
    await open("several");
    const more = screen.getByText("2 more conditions").closest("details");
    expect(within(more as HTMLElement).getAllByRole("listitem")).toHaveLength(2);
  });

  it("shows what is good to know while it works", async () => {
    await open("noticed");
    expect(within(screen.getByRole("list", { name: "Good to know" })).getAllByRole("listitem")).toHaveLength(4);
  });

  it("has the chart's numbers as a table", async () => {
    const { live } = await open("earning");
    expect(screen.getByRole("img").getAttribute("aria-label")).toMatch(/^Processor load by Surge .* now 46%/);
    button("Show as table").click();
    await tick();
    const rows = within(screen.getByRole("table")).getAllByRole("row");
    expect(rows).toHaveLength(1 + (live.view?.snapshot?.load_history.length ?? 0));
  });

  it("says what will appear where there is nothing yet", async () => {
    await open("not_set_up");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Not set up yet");
    expect(screen.getByText("Attach to a network: surge attach.")).toBeTruthy();
    for (const text of ["Your first accepted task will show here.", "The last five minutes will appear here."]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    expect(screen.getByText("No network attached")).toBeTruthy();
  });

  it("shows what the host could not be asked, and what the engine did not obey", async () => {
    await open("earning", { pause: () => Promise.reject("no such command") });
    button("Pause").click();
    expect((await screen.findByRole("alert")).textContent).toContain("no such command");
    cleanup();
    await open("not_obeyed");
    expect(screen.getByRole("alert").textContent).toBe("Only the engine's owner may do that.");
  });

  it("offers no switch to those whom the engine does not obey", async () => {
    const { backend } = await open("viewer");
    expect(screen.queryByRole("button", { name: "Pause" })).toBeNull();
    press(" ");
    expect(backend.pause).not.toHaveBeenCalled();
    expect(screen.getByText("Only its owner can pause this engine.")).toBeTruthy();
  });

  it("says that it is starting until the first view is there", async () => {
    await open("nothing");
    expect(screen.getByRole("status").textContent).toBe("Starting…");
  });

  it("says why there is no engine, starts one, and never shows an old state as the present one", async () => {
    const { backend } = await open("crashed");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Surge has crashed");
    expect(screen.queryByText(/^Earning/)).toBeNull();
    expect(screen.getByText(/^Last known at/)).toBeTruthy();
    button("Start Surge").click();
    await tick();
    expect(backend.start).toHaveBeenCalledOnce();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Earning: 2 tasks running");
  });

  it("offers no Start where that does not help", async () => {
    for (const state of ["silent", "untrusted", "engine_starting", "no_home"]) {
      await open(state);
      expect(screen.queryByRole("button", { name: "Start Surge" }), state).toBeNull();
      cleanup();
    }
  });

  it("shows two reasons with one code, and two networks with one name", async () => {
    await open("same_code_twice");
    const more = screen.getByText("2 more conditions").closest("details");
    expect(within(more as HTMLElement).getAllByRole("listitem")).toHaveLength(2);
    cleanup();
    await open("two_networks");
    expect(screen.getAllByText("Network surge-local")).toHaveLength(2);
  });

  it("says what waits until another network is attached again", async () => {
    await open("unattached_results");
    expect(screen.getByText("2 finished results wait until surge-old is attached again.")).toBeTruthy();
    expect(screen.getByText("1 finished result waits until an earlier network is attached again.")).toBeTruthy();
  });

  it("says that the engine is of another version, and shows what it can", async () => {
    await open("newer_engine");
    expect(screen.getByText(/^The engine is newer \(9\.0\.0\)/)).toBeTruthy();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toMatch(/only a newer version has words for/);
    cleanup();
    await open("older_engine");
    expect(screen.getByText(/^The engine is older \(0\.0\.9\)/)).toBeTruthy();
  });

  it("shows a state that it can't draw as such, and draws the next one", async () => {
    const { live } = await open("earning");
    const drawn = live.view;
    live.view = { ...viewOf("earning"), snapshot: { at: 1 } as Snapshot };
    await tick();
    expect(screen.getByRole("status").textContent).toMatch(/^This window can't show what the engine says/);
    live.view = drawn;
    await tick();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Earning: 2 tasks running");
  });

  it("asks before it would leave Surge out of sight", async () => {
    await open("no_tray");
    const dialog = screen.getByRole("dialog", { name: "Surge would be out of sight" });
    within(dialog).getByRole("button", { name: "Leave the window open" }).click();
    await tick();
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("goes on without a window when that is what the owner wants", async () => {
    const { backend } = await open("no_tray");
    button("Keep running in the background").click();
    expect(backend.close).toHaveBeenCalledOnce();
  });

  it.each([...Object.keys(scenes), "nothing"])("has nothing that axe objects to: %s", async (state) => {
    const { page } = await open(state);
    const found = await axe.run(page.container, { rules: { "color-contrast": { enabled: false }, region: { enabled: false } } });
    expect(found.violations.map((violation) => `${violation.id}: ${violation.help}`)).toEqual([]);
  });
});
