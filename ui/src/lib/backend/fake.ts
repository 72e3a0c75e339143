// A scripted host: each state of the engine can be opened in a browser at `/?state=…`, and obeys Pause, Finish and Resume.
import type { Earnings, Measure, Reason, ReasonCode, Snapshot, State, WorkerView } from "../bindings";
import type { Backend, PauseChoice, View } from ".";

type Scene = { state: State; headline: string; reasons?: Reason[]; change?: (snapshot: Snapshot) => void };

const NOW = Date.UTC(2026, 10, 22, 13, 5) / 1000;
const SECONDS: Record<PauseChoice, number | null> = {
  half_hour: 1800,
  two_hours: 7200,
  tomorrow: 36_000,
  until_resumed: null,
};

const reason = (code: ReasonCode, detail: string, remedy: string, until: number | null = null): Reason => ({
  code,
  detail,
  measure: null,
  subject: null,
  until,
  setting: null,
  remedy,
});

const about = (subject: string, held: Reason): Reason => ({ ...held, subject });
const measured = (value: number, limit: number, unit: Measure["unit"], held: Reason): Reason => ({
  ...held,
  measure: { value, limit, unit },
});

const using = reason("user_active", "somebody uses this computer; work starts 180 s after the last input", "Nothing to do: Surge keeps asking");
const finishing = reason("finishing", "2 tasks are left to finish, then it pauses", "Resume to go on after them");
const offline = reason(
  "coordinator_unreachable",
  "no answer from https://network.example since 10:02",
  "Check this computer's connection; Surge tries again by itself",
);

export const scenes = {
  earning: { state: "earning", headline: "Earning: 2 tasks running" },
  held: {
    state: "held",
    headline: "Waiting: you are using this computer",
    reasons: [using],
    change: rest,
  },
  several: {
    state: "held",
    headline: "Waiting: you are using this computer",
    reasons: [using, reason("no_work", "no task fits this machine", "Nothing to do: Surge keeps asking"), offline],
    change: rest,
  },
  no_work: {
    state: "held",
    headline: "Ready: no work right now",
    reasons: [reason("no_work", "no task fits this machine", "Nothing to do: Surge keeps asking")],
    change: rest,
  },
  paused: { state: "paused", headline: "Paused until you resume", reasons: [paused(null)], change: rest },
  paused_until: {
    state: "paused",
    headline: "Paused for 25 min more",
    reasons: [paused(NOW + 1500)],
    change: (snapshot) => {
      rest(snapshot);
      snapshot.paused_until = NOW + 1500;
    },
  },
  needs_you: {
    state: "needs_you",
    headline: "Stopped: the disk is full",
    reasons: [reason("disk_full", "12 MB are free where Surge keeps its data; it needs 200 MB", "Free some space")],
    change: (snapshot) => {
      rest(snapshot);
      snapshot.undelivered = 3;
    },
  },
  offline: {
    state: "held",
    headline: "Waiting: the network can't be reached",
    reasons: [offline],
    change: (snapshot) => {
      rest(snapshot);
      snapshot.undelivered = 1;
    },
  },
  presence_unknown: {
    state: "needs_you",
    headline: "Not running: can't tell whether you are here",
    reasons: [
      reason("presence_unknown", "no display answers", 'On a machine that nobody sits at, set presence = "headless"'),
    ],
    change: rest,
  },
  refused: {
    state: "needs_you",
    headline: "Stopped: the network refuses this computer",
    reasons: [reason("coordinator_refused", "the device key is not known there", "Attach this computer again")],
    change: rest,
  },
  worker_broken: {
    state: "needs_you",
    headline: "Stopped: tasks fail on this computer",
    reasons: [reason("worker_broken", "surge-worker is missing beside surge-desktop", "Install Surge again")],
    change: rest,
  },
  not_set_up: {
    state: "needs_you",
    headline: "Not set up yet",
    reasons: [reason("not_set_up", "no network is attached", "Attach one with `surge attach LINK`")],
    change: (snapshot) => {
      rest(snapshot);
      Object.assign(snapshot, { network: null, payout: null, load_history: [], earnings: nothing() });
    },
  },
  schedule: {
    state: "held",
    headline: "Waiting: your schedule starts in 8 h 55 min",
    reasons: [reason("outside_schedule", "it is Sun 13:05, and the schedule is daily 22:00-07:00", "Wait", NOW + 32_100)],
    change: rest,
  },
  somebody: {
    state: "held",
    headline: "Waiting: mpv keeps the screen awake",
    reasons: [
      about("mpv", reason("film", "a program keeps the screen awake (mpv)", "Wait")),
      about("supertuxkart", reason("full_screen", "a window fills the screen (supertuxkart)", "Wait")),
      about("zoom", reason("call", "a program uses the microphone (zoom)", "Wait")),
      reason("gamepad", "a game controller is used", "Wait"),
      about("blender", reason("excluded_program", "blender runs", "Close it, or take it off excluded_programs")),
      reason("other_user", "somebody else's session is in front", "Nothing to do"),
    ],
    change: rest,
  },
  hot: {
    state: "held",
    headline: "Waiting: the processor is too warm",
    reasons: [
      measured(88, 67, "celsius", reason("hot", "the processor is at 88 °C; work starts below 67 °C", "Wait")),
      measured(71, 30, "percent", reason("other_load", "other programs use 71 % of the processor", "Wait")),
      measured(900, 2600, "mebibytes", reason("memory_low", "900 MiB of memory are free", "Close something")),
    ],
    change: rest,
  },
  battery: {
    state: "held",
    headline: "Waiting: on battery",
    reasons: [
      measured(42, 55, "percent", reason("on_battery", "on its battery at 42 %; work starts from 55 %", "Plug it in")),
      reason("lid_shut", "the lid is shut and it runs on its battery", "Open the lid, or plug it in"),
    ],
    change: rest,
  },
  woke: {
    state: "held",
    headline: "Waiting: making sure that nobody is here",
    reasons: [
      measured(20, 180, "seconds", reason("disturbed", "this computer woke 20 s ago", "Wait")),
      about("temperature", reason("sensor_stale", "the last reading of temperature is 20 s old", "Nothing to do")),
    ],
    change: rest,
  },
  metered: {
    state: "held",
    headline: "Waiting: the network is metered",
    reasons: [reason("metered_network", "the network is metered: no new task is fetched", "Use another network")],
    change: rest,
  },
  finishing: {
    state: "earning",
    headline: "Finishing 2 tasks, then pausing",
    change: (snapshot) => {
      snapshot.finishing = true;
      snapshot.notices = [finishing];
    },
  },
  finishing_held: {
    state: "held",
    headline: "Waiting to finish: you are using this computer",
    reasons: [using, finishing],
    change: (snapshot) => {
      snapshot.finishing = true;
      snapshot.load_percent = 0;
      for (const worker of snapshot.workers) worker.share = 0;
    },
  },
  noticed: {
    state: "earning",
    headline: "Earning: 2 tasks running",
    change: (snapshot) => {
      snapshot.notices = [
        reason("settings_invalid", "settings.toml is not valid: line 4: cpu_percent is 400, allowed is 1 to 100", "Correct the file"),
        reason("restart_needed", "memory_mib changed and counts from the next start", "Quit Surge and start it again"),
        measured(74, 75, "celsius", reason("warm", "the processor is at 74 °C and is kept at 75 °C", "Let air to the fans")),
        measured(40, 50, "percent", reason("no_temperature", "no sensor tells how warm the processor is", "Change it")),
      ];
    },
  },
  fresh: {
    state: "earning",
    headline: "Earning: one task running",
    change: (snapshot) => {
      snapshot.workers.pop();
      snapshot.load_history = [12, 44, 48];
      snapshot.earnings = nothing();
    },
  },
  rich: {
    state: "earning",
    headline: "Earning: 8 tasks running",
    change: (snapshot) => {
      snapshot.workers = Array.from({ length: 8 }, (_, i) => worker(i, "protein-alignment-with-a-long-name", 900 + i));
      snapshot.max_workers = 8;
      snapshot.earnings = {
        awaiting: "123456789012345678901",
        validated: "98765432109876543210987",
        settled: "1234567890123456789012345",
        today: "1234567890123456789012",
        tasks_accepted: 123_456,
        tasks_rejected: 7,
      };
    },
  },
} satisfies Record<string, Scene>;

export type SceneName = keyof typeof scenes;

/** `state` names a scene, `starting` (nothing arrives) or `no_tray` (asked to close without a tray); `still` stops the clock. */
export function fake(query: URLSearchParams): Backend {
  const wanted = query.get("state") ?? "earning";
  const name: SceneName = Object.hasOwn(scenes, wanted) ? (wanted as SceneName) : "earning";
  const view: View = { snapshot: snapshot(name), leaving_without_tray: wanted === "no_tray" };
  let show: (view: View) => void = () => {};
  const changed = () => show(structuredClone(view));

  return {
    async watch(listener) {
      if (wanted === "starting") return;
      show = listener;
      changed();
      if (query.has("still")) return;
      setInterval(() => {
        tick(view.snapshot);
        changed();
      }, 1000);
    },
    async pause(choice) {
      const seconds = SECONDS[choice];
      const until = seconds === null ? null : view.snapshot.at + seconds;
      const at = view.snapshot.at;
      view.snapshot = { ...snapshot("paused"), at, paused_until: until, reasons: [paused(until)] };
      changed();
    },
    async finish() {
      view.snapshot = { ...snapshot("finishing"), at: view.snapshot.at };
      changed();
    },
    async resume() {
      view.snapshot = { ...snapshot("earning"), at: view.snapshot.at };
      changed();
    },
    async stay() {
      view.leaving_without_tray = false;
      changed();
    },
    async close() {
      show = () => {};
    },
    async quit() {
      show = () => {};
    },
  };
}

export function snapshot(name: SceneName): Snapshot {
  const scene: Scene = scenes[name];
  const made: Snapshot = {
    at: NOW,
    version: "0.1.0",
    network: "surge-local",
    payout: "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
    state: scene.state,
    headline: scene.headline,
    reasons: scene.reasons ?? [],
    notices: [],
    presence: { source: "x11", idle_seconds: 412, idle_after_seconds: 180 },
    machine: {
      celsius: 61.5,
      target_celsius: 75,
      stop_celsius: 85,
      other_load_percent: 3.2,
      other_load_limit_percent: 50,
      power: "mains",
      battery_percent: null,
      sensors: [{ reading: "thermal", source: "hwmon" }],
    },
    paused_until: null,
    finishing: false,
    workers: [worker(0, "mersenne", 14), worker(1, "render", 3)],
    max_workers: 2,
    load_percent: 46,
    load_history: history(),
    worked_ms: 17_000,
    undelivered: 0,
    earnings: {
      awaiting: "13300000000000000",
      validated: "214000000000000000",
      settled: "1882740000000000000",
      today: "412345678901234567",
      tasks_accepted: 37,
      tasks_rejected: 0,
    },
  };
  scene.change?.(made);
  return made;
}

function worker(i: number, job_name: string, index: number): WorkerView {
  return { pid: 4200 + i, lease: String(i).repeat(64), job_name, index, share: 0.5, cpu_ms: 7400 + i * 5300 };
}

function paused(until: number | null): Reason {
  return reason("paused", "paused by you", "Resume", until);
}

function rest(snapshot: Snapshot): void {
  snapshot.workers = [];
  snapshot.load_percent = 0;
  snapshot.load_history = [...history().slice(16), ...Array.from({ length: 16 }, () => 0)];
  snapshot.presence = { ...snapshot.presence, idle_seconds: 2 };
}

/** Five minutes of a plausible load: a rise after the owner left, then steady. */
function history(): number[] {
  return Array.from({ length: 60 }, (_, i) => {
    if (i < 9) return 0;
    return Math.min(i - 8, 5) * 9 + 2.4 * Math.sin(i * 1.7) + 1.5 * Math.cos(i * 0.6);
  });
}

function nothing(): Earnings {
  return { awaiting: "0", validated: "0", settled: "0", today: "0", tasks_accepted: 0, tasks_rejected: 0 };
}

function tick(snapshot: Snapshot): void {
  snapshot.at += 1;
  const busy = snapshot.workers.length > 0;
  snapshot.load_percent = busy ? 45 + 2 * Math.sin(snapshot.at) : 0;
  for (const worker of snapshot.workers) worker.cpu_ms += 480;
  if (snapshot.at % 5 === 0) snapshot.load_history = [...snapshot.load_history, snapshot.load_percent].slice(-60);
}
