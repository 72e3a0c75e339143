// How numbers are shown. Money stays an integer and is cut, never rounded: what is shown is never more than what is there.
const DECIMALS = 18;
const SHOWN = 4;

/** Base units as whole tokens with up to four decimals, cut. Less than the smallest shown amount is `< 0.0001`. */
export function money(base: string, locale: string): string {
  const amount = BigInt(base);
  const cut = amount / 10n ** BigInt(DECIMALS - SHOWN);
  if (cut === 0n && amount > 0n) return `< ${decimal(1n, SHOWN, locale)}`;
  return decimal(cut, SHOWN, locale);
}

/** Base units as whole tokens with every decimal that is needed. */
export function exactMoney(base: string, locale: string): string {
  return decimal(BigInt(base), DECIMALS, locale);
}

/** The sum of amounts in base units. */
export function sum(...amounts: string[]): string {
  return amounts.reduce((total, amount) => total + BigInt(amount), 0n).toString();
}

export function isZero(base: string): boolean {
  return BigInt(base) === 0n;
}

function decimal(units: bigint, places: number, locale: string): string {
  const scale = 10n ** BigInt(places);
  const whole = new Intl.NumberFormat(locale).format(units / scale);
  const fraction = (units % scale).toString().padStart(places, "0").replace(/0+$/, "");
  return fraction === "" ? whole : whole + point(locale) + fraction;
}

function point(locale: string): string {
  const parts = new Intl.NumberFormat(locale).formatToParts(0.5);
  return parts.find((part) => part.type === "decimal")?.value ?? ".";
}

/** Seconds as the two largest units that matter: `45 s`, `3 min`, `1 h 10 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return s % 60 === 0 || minutes >= 10 ? `${minutes} min` : `${minutes} min ${s % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

export function percent(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(value / 100);
}

export function number(value: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** Unix seconds as the local time of day; with the weekday when it is not today. */
export function clock(unix: number, now: number, locale: string, seconds = false): string {
  const [then, today] = [new Date(unix * 1000), new Date(now * 1000)];
  const weekday = then.toDateString() === today.toDateString() ? {} : ({ weekday: "short" } as const);
  return new Intl.DateTimeFormat(locale, {
    ...weekday,
    ...(seconds ? ({ second: "2-digit" } as const) : {}),
    hour: "2-digit",
    minute: "2-digit",
  }).format(then);
}

/** `0x1234…abcd` */
export function shortAccount(account: string): string {
  return account.length <= 12 ? account : `${account.slice(0, 6)}…${account.slice(-4)}`;
}

/** `one-word_names` as people write them: `One word names`. */
export function jobTitle(name: string): string {
  const words = name.replace(/[-_]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
