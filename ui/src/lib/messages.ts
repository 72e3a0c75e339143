// Every sentence that the window speaks, in the language of the system. English is the fallback.
import de from "../messages/de.json";
import en from "../messages/en.json";

export type Key = keyof typeof en;
export type Words = Record<Key, string>;
export type Language = "en" | "de";
/** Keys that exist once for one and once for many: `say.count("hero.more", 2)`. */
export type Counted = Key extends infer K ? (K extends `${infer Base}.one` ? Base : never) : never;

const languages: Record<Language, Words> = { en, de };

export type Say = {
  /** The region's own numbers and times: `en-GB`, `de-AT`. */
  locale: string;
  language: Language;
  (key: Key, values?: Record<string, string>): string;
  count(key: Counted, count: number, values?: Record<string, string>): string;
  /** The text of a key that is made from a code, and which may not be there. */
  find(key: string): string | undefined;
};

/** Speaks the first of the wanted locales whose language Surge knows, else English. */
export function speak(wanted: readonly string[]): Say {
  const locale = wanted.find((tag) => languageOf(tag) !== undefined) ?? "en";
  const language = languageOf(locale) ?? "en";
  const words = languages[language];
  const plural = new Intl.PluralRules(locale);
  const number = new Intl.NumberFormat(locale);
  const say = (key: Key, values: Record<string, string> = {}) =>
    words[key].replace(/\{(\w+)\}/g, (blank, name: string) => values[name] ?? blank);
  const count = (key: Counted, amount: number, values: Record<string, string> = {}) => {
    const form = plural.select(amount) === "one" ? "one" : "other";
    return say(`${key}.${form}`, { ...values, count: number.format(amount) });
  };
  const find = (key: string) => (Object.hasOwn(words, key) ? words[key as Key] : undefined);
  return Object.assign(say, { locale, language, count, find });
}

function languageOf(tag: string): Language | undefined {
  const language = tag.toLowerCase().split("-")[0] ?? "";
  return Object.hasOwn(languages, language) ? (language as Language) : undefined;
}
