// A scripted host: each state of the engine can be opened in a browser at `/?state=…`, and obeys Pause, Finish, Resume and
// Start.
import type { Case, Measure, NetworkView, Reason, ReasonCode, Snapshot, State, WorkerView } from "../bindings";
import type { Backend, Lost, PauseChoice, View } from ".";

type Scene = {
  state?: State;
  reasons?: Reason[];
  notices?: Reason[];
  change?: (snapshot: Snapshot) => void;
  /** What the host adds to the engine's state. */
  view?: Partial<View>;
};

const NOW = Date.UTC(2026, 10, 22, 13, 5) / 1000;
const SECONDS: Record<PauseChoice, number | null> = {
  half_hour: 1800,
  two_hours: 7200,
  tomorrow: 36_000,
  until_resumed: null,
};

const reason = (code: ReasonCode, values: Partial<Reason> = {}): Reason => ({
  code,
  case: null,
  measure: null,
  subject: null,
  said: null,
  until: null,
  setting: null,
  ...values,
});

const measured = (code: ReasonCode, value: number, limit: number, unit: Measure["unit"], of: Case | null = null): Reason =>
  reason(code, { measure: { value, limit, unit }, case: of });

const using = measured("user_active", 30, 180, "seconds");
const finishing = reason("finishing");
const noWork = reason("no_work");
const offline = reason("coordinator_unreachable", { said: "network.example does not answer" });
const paused = (until: number | null): Reason => reason("paused", { until });

const held = (reasons: Reason[], more: Scene = {}): Scene => ({ state: "held", reasons, change: rest, ...more });
const broken = (reasons: Reason[], more: Scene = {}): Scene => ({ ...held(reasons, more), state: "needs_you" });
/** The engine is gone, and its last state was the one before. */
const gone = (code: Lost["code"], said: string | null = null): Scene => ({
  view: { lost: { code, said }, quit_stops_work: false },
});

export const scenes = {
  earning: {},
  starting: held([reason("starting")], { change: fresh }),
  held: held([using]),
  several: held([using, noWork, offline]),
  no_work: held([noWork]),
  paused: held([paused(null)], { state: "paused" }),
  paused_until: held([paused(NOW + 1500)], {
    state: "paused",
    change: (snapshot) => {
      rest(snapshot);
      snapshot.paused_until = NOW + 1500;
    },
  }),
  needs_you: broken([reason("disk_full", { said: "12 MB are free where Surge keeps its data; it needs 200 MB" })], {
    change: (snapshot) => {
      rest(snapshot);
      only(snapshot).undelivered = 3;
    },
  }),
  offline: held([offline], {
    change: (snapshot) => {
      rest(snapshot);
      only(snapshot).undelivered = 1;
    },
  }),
  presence_unknown: broken([reason("presence_unknown", { said: "no display answers" })]),
  refused: broken([reason("coordinator_refused", { said: "the device key is not known there" })]),
  worker_broken: broken([reason("worker_broken", { said: "the worker ended with signal 9 at every task" })]),
  not_set_up: broken([reason("not_set_up", { case: "no_network" })], { change: unattached }),
  no_payout: broken([reason("not_set_up", { case: "no_payout" })], {
    change: (snapshot) => {
      fresh(snapshot);
      only(snapshot).payout = null;
    },
  }),
  setup_invalid: broken([
    reason("setup_invalid", { subject: "/home/ada/surge/network.json", said: "network.json: the signature is wrong" }),
  ]),
  installation_broken: broken([reason("installation_broken", { said: "surge-worker is missing beside surge" })]),
  sandbox_unavailable: broken([reason("sandbox_unavailable", { said: "Landlock is not there", setting: "sandbox" })]),
  cache_unusable: broken([reason("cache_unusable", { said: "blobs: read-only file system" })]),
  home_unusable: broken([reason("home_unusable", { said: "/home/ada/surge: permission denied" })]),
  settings_invalid: broken([
    reason("settings_invalid", { said: "settings.toml: line 4: cpu_percent is 400, allowed is 1 to 100" }),
  ]),
  schedule: held([reason("outside_schedule", { until: NOW + 32_100, subject: "daily 22:00-07:00" })]),
  somebody: held([
    reason("film", { subject: "mpv" }),
    reason("full_screen", { subject: "supertuxkart" }),
    reason("call", { subject: "zoom" }),
    reason("gamepad"),
    reason("excluded_program", { subject: "blender" }),
    reason("other_user"),
  ]),
  hot: held([
    measured("hot", 88, 67, "celsius"),
    measured("other_load", 71, 30, "percent"),
    measured("memory_low", 900, 2600, "mebibytes"),
  ]),
  battery: held([measured("on_battery", 42, 55, "percent", "charge_low"), reason("lid_shut")]),
  woke: held([
    measured("disturbed", 20, 180, "seconds", "woke"),
    reason("sensor_stale", { subject: "temperature", measure: { value: 20, limit: 3, unit: "seconds" } }),
  ]),
  metered: held([reason("metered_network")]),
  finishing: {
    notices: [finishing],
    change: (snapshot) => {
      snapshot.finishing = true;
    },
  },
  finishing_held: {
    state: "held",
    reasons: [using, finishing],
    change: (snapshot) => {
      snapshot.finishing = true;
      snapshot.load_percent = 0;
      for (const worker of snapshot.workers) worker.share = 0;
    },
  },
  noticed: {
    notices: [
      reason("settings_invalid", { said: "settings.toml: line 4: cpu_percent is 400, allowed is 1 to 100" }),
      reason("restart_needed", { case: "setting_changed", subject: "memory_mib" }),
      measured("warm", 74, 75, "celsius"),
      measured("no_temperature", 40, 50, "percent"),
    ],
  },
  updated: { notices: [reason("restart_needed", { case: "updated" })] },
  same_code_twice: held([offline, offline, noWork], { notices: [finishing, reason("warm"), reason("warm")] }),
  fresh: {
    change: (snapshot) => {
      fresh(snapshot);
      snapshot.workers = [worker(0, "mersenne", 14)];
      snapshot.load_history = [12, 44, 48];
    },
  },
  rich: {
    change: (snapshot) => {
      snapshot.workers = Array.from({ length: 8 }, (_, i) => worker(i, "protein-alignment-with-a-long-name", 900 + i));
      snapshot.max_workers = 8;
      only(snapshot).earnings = {
        awaiting: "123456789012345678901",
        validated: "98765432109876543210987",
        settled: "1234567890123456789012345",
        today: "1234567890123456789012",
        tasks_accepted: 123_456,
        tasks_rejected: 7,
      };
    },
  },
  unattached_results: {
    change: (snapshot) => {
      snapshot.unattached = [
        { name: "surge-old", undelivered: 2 },
        { name: null, undelivered: 1 },
      ];
    },
  },
  two_networks: {
    change: (snapshot) => {
      snapshot.networks = [network("surge-local"), network("surge-local")];
    },
  },
  newer_engine: broken([reason("unknown", { case: "unknown", measure: { value: 3, limit: 4, unit: "unknown" } })], {
    state: "unknown",
    view: { skew: { code: "engine_newer", engine: "9.0.0", own: "0.1.0" } },
  }),
  older_engine: { view: { skew: { code: "engine_older", engine: "0.0.9", own: "0.1.0" } } },
  viewer: { view: { may_pause: false, quit_stops_work: false } },
  not_obeyed: { view: { failure: { code: "not_allowed", said: "only its owner may" } } },
  connecting: { view: { lost: { code: "connecting", said: null }, snapshot: null, quit_stops_work: false } },
  engine_starting: gone("starting"),
  restarting: gone("restarting"),
  stopping: gone("stopping"),
  not_running: gone("not_running"),
  stopped: gone("stopped"),
  crashed: gone("crashed"),
  cant_start: gone("cant_start", "the folder /home/ada/surge can't be written: read-only file system"),
  no_program: gone("no_program"),
  silent: gone("stuck"),
  untrusted: gone("untrusted", "others may write to its folder (mode 777)"),
  not_to_be_seen: gone("refused", "this user is not in the group surge"),
  incomprehensible: gone("incomprehensible", "expected value at line 1 column 1"),
  no_home: { view: { lost: { code: "no_home", said: null }, snapshot: null, quit_stops_work: false } },
  no_tray: { view: { leaving_without_tray: true } },
} satisfies Record<string, Scene>;

export type SceneName = keyof typeof scenes;

/** `state` names a scene, or is `nothing` (no view arrives); `still` stops the clock. */
export function fake(query: URLSearchParams): Backend {
  const wanted = query.get("state") ?? "earning";
  const name: SceneName = Object.hasOwn(scenes, wanted) ? (wanted as SceneName) : "earning";
  let view = viewOf(name);
  let show: (view: View) => void = () => {};
  const changed = () => show(structuredClone(view));
  const become = (name: SceneName, reasons?: Reason[]) => {
    const at = view.snapshot?.at ?? NOW;
    const next = viewOf(name);
    if (next.snapshot !== null) Object.assign(next.snapshot, { at }, reasons === undefined ? {} : { reasons });
    view = next;
    changed();
  };

  return {
    async watch(listener) {
      if (wanted === "nothing") return;
      show = listener;
      changed();
      if (query.has("still")) return;
      setInterval(() => {
        if (view.snapshot === null || view.lost !== null) return;
        tick(view.snapshot);
        changed();
      }, 1000);
    },
    async pause(choice) {
      const seconds = SECONDS[choice];
      become("paused", [paused(seconds === null ? null : (view.snapshot?.at ?? NOW) + seconds)]);
    },
    async finish() {
      become("finishing");
    },
    async resume() {
      become("earning");
    },
    async start() {
      become("earning");
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

export function viewOf(name: SceneName): View {
  return {
    snapshot: snapshot(name),
    lost: null,
    skew: null,
    failure: null,
    may_pause: true,
    quit_stops_work: true,
    leaving_without_tray: false,
    ...(scenes[name] as Scene).view,
  };
}

export function snapshot(name: SceneName): Snapshot {
  const scene: Scene = scenes[name];
  const made: Snapshot = {
    at: NOW,
    version: "0.1.0",
    state: scene.state ?? "earning",
    reasons: scene.reasons ?? [],
    notices: scene.notices ?? [],
    networks: [network("surge-local")],
    unattached: [],
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
    settings: [{ key: "cpu_percent", value: "50", source: "default", locked: false }],
  };
  scene.change?.(made);
  return made;
}

function network(name: string): NetworkView {
  return {
    name,
    payout: "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
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
}

function only({ networks: [first] }: Snapshot): NetworkView {
  if (first === undefined) throw new Error("this scene has a network");
  return first;
}

function worker(i: number, job_name: string, index: number): WorkerView {
  return { pid: 4200 + i, lease: String(i).repeat(64), job_name, index, share: 0.5, cpu_ms: 7400 + i * 5300 };
}

function rest(snapshot: Snapshot): void {
  snapshot.workers = [];
  snapshot.load_percent = 0;
  snapshot.load_history = [...history().slice(16), ...Array.from({ length: 16 }, () => 0)];
  snapshot.presence = { ...snapshot.presence, idle_seconds: 2 };
}

/** Before anything has run. */
function fresh(snapshot: Snapshot): void {
  rest(snapshot);
  snapshot.load_history = [];
  const none = { awaiting: "0", validated: "0", settled: "0", today: "0", tasks_accepted: 0, tasks_rejected: 0 };
  for (const network of snapshot.networks) network.earnings = { ...none };
}

function unattached(snapshot: Snapshot): void {
  fresh(snapshot);
  snapshot.networks = [];
}

/** Five minutes of a plausible load: a rise after the owner left, then steady. */
function history(): number[] {
  return Array.from({ length: 60 }, (_, i) => {
    if (i < 9) return 0;
    return Math.min(i - 8, 5) * 9 + 2.4 * Math.sin(i * 1.7) + 1.5 * Math.cos(i * 0.6);
  });
}

function tick(snapshot: Snapshot): void {
  snapshot.at += 1;
  const busy = snapshot.workers.length > 0;
  snapshot.load_percent = busy ? 45 + 2 * Math.sin(snapshot.at) : 0;
  for (const worker of snapshot.workers) worker.cpu_ms += 480;
  if (snapshot.at % 5 === 0) snapshot.load_history = [...snapshot.load_history, snapshot.load_percent].slice(-60);
}
